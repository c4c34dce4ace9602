"""One input to one parser: what it did, and where what broke it is kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from components.common.errors import DarkroomError
from tests.fuzz.parsers import PARSERS

SEEDS = Path(__file__).parent / "seeds"  # inputs that broke a parser once
SLOW_SECONDS = 10  # of a core, so that a busy machine breaks nothing
MOST_MB = 400  # of Python's and NumPy's own memory, for an input of 64 KB


class SlowError(Exception):
    """A parser took longer than any such input is worth."""


def list_seeds(name: str) -> list[bytes]:
    """Return the whole inputs of a parser, and those that broke it once.

    The parser reads one of them before, so that nothing that it imports counts as its own cost.
    """
    with contextlib.suppress(DarkroomError):
        PARSERS[name].run(PARSERS[name].seeds()[0])
    kept = sorted((SEEDS / name).glob("*")) if (SEEDS / name).is_dir() else []
    return [*PARSERS[name].seeds(), *(file.read_bytes() for file in kept)]


def try_input(name: str, data: bytes, measured: bool = False) -> None:
    """Give bytes to a parser; whatever it raises but a DarkroomError comes out."""
    with in_time(), contextlib.redirect_stdout(io.StringIO()):
        if measured:
            tracemalloc.start()
        words = "none"
        try:
            PARSERS[name].run(data)
        except DarkroomError as error:
            words = str(error).strip()
        finally:
            if measured:
                peak = tracemalloc.get_traced_memory()[1] / 1e6
                tracemalloc.stop()
    assert words, "an error without words"
    if measured:
        assert peak < MOST_MB, f"it took {peak:.0f} MB"


@contextmanager
def in_time() -> Iterator[None]:
    """Raise SlowError inside a body that takes too long."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SlowError(f"more than {SLOW_SECONDS} s of a core")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SLOW_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def keep(name: str, data: bytes) -> Path:
    """Keep an input that broke a parser among its seeds."""
    file = SEEDS / name / hashlib.sha256(data).hexdigest()[:12]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file

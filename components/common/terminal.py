"""What a person sees of a running stage: a heading, findings, and how long it will take yet."""

from __future__ import annotations

import codecs
import io
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

from components import STAGES

Item = TypeVar("Item")


# Our own signs, for a terminal that has none of them; other letters are shown by their numbers.
_PLAIN = str.maketrans({"·": "-", "→": "->", "…": "...", "×": "x", "–": "-", "−": "-", "±": "+-"})


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("darkroom_plain", _write_plainly)


def speak_any_encoding() -> None:
    """Let both streams write what their encoding lacks: a log may know no UTF-8, a name be none."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="darkroom_plain")


def heading(room: str, purpose: str) -> None:
    """Print which stage begins: ``4/6 train · purpose``."""
    place = f"{STAGES.index(room) + 1}/{len(STAGES)} " if room in STAGES else ""
    print(f"\n{place}{room} · {purpose}", flush=True)


def say(message: str) -> None:
    """Print one finding of the stage, above a progress bar if one is shown."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(f"  {message}")
        sys.stdout.flush()
    else:
        print(f"  {message}", flush=True)


def track(items: Iterable[Item], what: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and show how far it is and how long yet.

    A terminal gets a bar; a log gets a line every ten seconds, so short work leaves no trace there.
    """
    yield from bar(what, unit, total, items)


def bar(what: str, unit: str, total: int | None, items: Iterable[Item] | None = None) -> Any:
    """Return a tqdm bar in the project's form, for work that does not come item by item."""
    from tqdm import tqdm

    live = sys.stderr.isatty()
    return tqdm(
        items,
        desc=f"  {what}",
        unit=f" {unit}",
        total=total,
        leave=False,
        mininterval=0.2 if live else 10.0,
        delay=0 if live else 10.0,
        dynamic_ncols=True,
        file=sys.stderr if live else _Lines(sys.stderr),
        # A log has no width, and may know no UTF-8.
        bar_format=None
        if live
        else "{desc}: {percentage:3.0f}%, {n_fmt} of {total_fmt}{unit}, {remaining} to go",
        ascii=None if live else " .-#",
    )


class _Lines:
    """A stream for a log: what tqdm draws over itself becomes a line each time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            self._stream.write(f"  {line}\n")

    def flush(self) -> None:
        self._stream.flush()


class Stopwatch:
    """Seconds since it was made: ``f"{watch}"`` reads ``3.2 s``."""

    def __init__(self) -> None:
        """Start."""
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def __str__(self) -> str:
        """The time as a person says it."""
        return describe_seconds(self.seconds)


def describe_seconds(seconds: float) -> str:
    """Return a duration as a person says it: ``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

"""What a person sees of a running stage: a heading, findings, how long yet, and why it stopped."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TextIO, TypeVar

from components import STAGES
from components.common.errors import DarkroomError

Item = TypeVar("Item")

# What a person can mend when a file cannot be written or read, and how.
_MENDED = {
    errno.EACCES: "change its permissions, or give another path",
    errno.EPERM: "change its permissions, or give another path",
    errno.EROFS: "give a path on another disk",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room: your share of the disk is used up",
    errno.ENOTDIR: "a part of the path is a file; give another path",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOTEMPTY: "something else writes into it; run the stage again",
    errno.EEXIST: "it is there already, as something else; give another path",
    errno.ENOENT: "a part of the path is not there",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "its links lead back to themselves; remove one",
    errno.EFBIG: "allow larger files: ulimit -f",
    errno.EMFILE: "allow more open files: ulimit -n",
}

_TOO_LITTLE = (
    "the memory that this process may use is full; give it more, or see docs/operations.md for "
    "what each stage needs"
)
_OTHER_PYTHON = (
    "run the command with .venv/bin/python, which `make run` sets up, or first: source "
    ".venv/bin/activate"
)
# How a full disk sounds where no errno comes with it: the C library in HDF5 and Arrow, and SQLite.
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")


# Our own signs, for a terminal that has none of them; other letters are shown by their numbers.
_PLAIN = str.maketrans({"·": "-", "→": "->", "…": "...", "×": "x", "–": "-", "−": "-", "±": "+-"})


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("darkroom_plain", _write_plainly)

# Signs that a terminal obeys, and those that turn what follows around: names of files hold any.
_OBEYED = {
    number: chr(number).encode("unicode_escape").decode()
    for number in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def show_plainly(text: str) -> str:
    """Return a text as one line whose signs a terminal only shows."""
    return text.translate(_OBEYED)


def speak_any_encoding() -> None:
    """Let both streams write what their encoding lacks: a log may know no UTF-8, a name be none.

    A stream that is closed (``>&-``) is there afterwards, and leads nowhere.
    """
    _fill_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="darkroom_plain")


def _fill_closed() -> None:
    """Open what is closed of standard input, output and error.

    Or the next file that is opened would get its number, and whatever a library in C prints.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def heading(room: str, purpose: str) -> None:
    """Print which stage begins: ``4/6 train · purpose``."""
    place = f"{STAGES.index(room) + 1}/{len(STAGES)} " if room in STAGES else ""
    print(f"\n{place}{room} · {purpose}", flush=True)


def say(message: str) -> None:
    """Print one finding of the stage, above a progress bar if one is shown."""
    message = show_plainly(message)
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
    """A stream for a log: what tqdm draws over itself becomes a line each time that it moves on.

    Of slow work tqdm draws the same again by a thread of its own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._last = stream, ""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        done = line.rpartition(",")[0]  # all but how long yet
        if line and done != self._last:
            self._stream.write(f"  {line}\n")
            self._last = done

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


def count_of(number: int, one: str, many: str = "") -> str:
    """Return a number and what it counts: `1 file`, `1,234 files`.

    Args:
        number: of them.
        one: word for one of them; a verb may go with it.
        many: words for another number; without it, those for one with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


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


def _nobody_reads() -> bool:
    """Whether the other end of standard output was closed."""
    look = select.poll()
    look.register(1, 0)
    return bool(look.poll(0))


def _is_foreign(module: str | None) -> bool:
    """Whether a module is of another project: where it is missing, this is the wrong Python."""
    return module is not None and module.partition(".")[0] not in ("components", "pipelines")


class exit_on_error:  # noqa: N801 - used as a statement: `with exit_on_error():`
    """Turn a user's error into one line on stderr and exit code 1.

    Who reads what is printed may have enough of it (``| head``): then this ends without a word, as
    programs do that SIGPIPE ends.
    """

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Print the error and exit, if it is one that the user can mend."""
        if error is None:
            try:
                sys.stdout.flush()  # or Python would, when it is too late to say nothing
            except BrokenPipeError as broken:
                error = broken
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(128 + signal.SIGPIPE)
        if isinstance(error, DarkroomError):
            _stop(" ".join(str(error).split()))
        if isinstance(error, OSError) and error.errno in _MENDED and error.filename is not None:
            where, why = os.fsdecode(error.filename), os.strerror(error.errno)
            _stop(f"{where}: {why}; {_MENDED[error.errno]}")
        if isinstance(error, OSError) and error.errno in _MENDED and not _find_full(error):
            why = os.strerror(error.errno)
            _stop(f"{why}; {_MENDED[error.errno]}")
        if error is not None and (words := _find_full(error)):
            _stop(f"{words} while something was written; make room on the disk")
        if isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
            _stop(f"{error.name} is not installed in {sys.executable}; {_OTHER_PYTHON}")
        encoding = sys.getfilesystemencoding()
        if isinstance(error, UnicodeEncodeError) and encoding != "utf-8":
            _stop(
                f"a name with {error.object[error.start : error.end]!a} in it cannot be "
                f"written in {encoding}, the encoding of this system's settings; set PYTHONUTF8=1, "
                "or LC_ALL=C.UTF-8"
            )
        if error is not None and _is_out_of_memory(error):
            _stop(_TOO_LITTLE)
        if isinstance(error, KeyboardInterrupt):
            print("stopped", file=sys.stderr, flush=True)
            sys.exit(130)


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that no more memory, or room for addresses, is to be had."""
    if isinstance(error, ImportError):  # of the loader of shared libraries
        return "failed to map segment" in str(error) or os.strerror(errno.ENOMEM) in str(error)
    if isinstance(error, RuntimeError):
        return "can't start new thread" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", 0) == errno.ENOMEM


def _stop(words: str) -> NoReturn:
    """Print an error in one line, and exit as all do who fail."""
    print(f"error: {show_plainly(words)}", file=sys.stderr, flush=True)
    sys.exit(1)


def _find_full(error: BaseException) -> str:
    """Return in which words an error, or one that it came from, says that the disk is full.

    A file that is full when it is written on or closed names no file, and libraries in C raise
    errors of their own.
    """
    seen: BaseException | None = error
    while seen is not None:
        for words in _FULL:
            if isinstance(seen, Exception) and words in str(seen):
                return words
        seen = seen.__cause__ or seen.__context__
    return ""

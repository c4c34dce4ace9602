"""Fetch one file from afar: with further tries, going on where the line broke."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from components.common.errors import DarkroomError
from components.common.terminal import say

CHUNK = 1 << 20
# Seconds before each further try without a new byte; each that brings some starts the row anew.
PAUSES = (1.0, 4.0, 15.0)
LONGEST_PAUSE = 120.0  # however long a server asks us to wait
REPLACED = "has been replaced since it was listed; run the pipeline again"

Result = TypeVar("Result")


class PassingError(DarkroomError):
    """What failed for all tries may be well in a minute: a later attempt of the task may help.

    It is told by its kind, for what was the cause of an error is lost between processes.
    """


class RefusedError(Exception):
    """Another try would end the same; the words say what to do."""


class ChangedError(Exception):
    """The file is not the one any more that the first bytes came from."""


class BusyError(Exception):
    """The server cannot now; it may have said for how long."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Piece:
    """What a server sends: the bytes of a file from one on."""

    stream: Any  # read(count) and close()
    start: int  # number of the first byte: 0 where the server sends all in spite of what was asked
    total: int | None  # bytes of the whole file, where the server says so
    mark: str  # names this version of the file; empty: the server tells versions not apart
    digest: tuple[str, str] = ("", "")  # of the whole file, where the server says it with the bytes


@dataclass(frozen=True)
class Remote:
    """One file behind an address."""

    path: str  # in the folder that was listed
    name: str  # its address as a person may see it
    open: Callable[[int, str], Piece]  # from which byte on, of which version (empty: any)
    bytes: int | None = None
    digest: tuple[str, str] = ("", "")  # algorithm and hex, where the store tells it
    mark: str = ""  # names this version of the file, where the store tells it but no digest
    changed: float = 0.0  # when it was written last, seconds since 1970, where the store tells it


def fetch_file(
    remote: Remote,
    target: Path,
    *,
    mark: str = "",
    keep_mark: Callable[[str], None] = lambda mark: None,
    advance: Callable[[int], Any] = lambda count: None,
) -> None:
    """Download a file, whole or with an error; what came of it stays in the target.

    Args:
        remote: the file.
        target: where its bytes go; with a mark, those that are there are not fetched again.
        mark: the version that the bytes in the target are of.
        keep_mark: is called with the mark before bytes of a version are written.
        advance: is called with counts of bytes, for a bar.

    Raises:
        DarkroomError: if the file is not there, or all tries failed.
    """
    start = target.stat().st_size if mark and target.exists() else 0
    best, tries = start, 0
    while True:
        try:
            with _close(remote.open(start, mark)) as piece:
                if start and piece.start == 0:
                    say(f"{remote.name}: {_why_anew(mark, piece.mark)}; from the beginning")
                start, mark, said = piece.start, piece.mark, piece.digest
                keep_mark(mark)
                _write(piece, target, advance)
            break
        except RefusedError as error:
            raise DarkroomError(f"{remote.name}: {error}") from None
        except DarkroomError:
            raise
        except Exception as error:  # whatever the client of a store raises
            if isinstance(error, ChangedError):
                say(f"{remote.name}: changed under way; from the beginning")
                mark = ""
            size = target.stat().st_size if target.exists() else 0
            tries = 0 if size > best else tries + 1
            best = max(best, size)
            # Where all bytes are here, and still it failed, they are not the right ones.
            start = size if mark and size != remote.bytes else 0
            if tries > len(PAUSES):
                raise PassingError(_describe_end(remote, error, tries, start)) from None
            _wait(remote.name, error, max(tries - 1, 0))
    _check_digest(remote, target, remote.digest if remote.digest[1] else said)


def retry(action: Callable[[], Result], name: str) -> Result:
    """Return what an action returns, with further tries where the network fails."""
    for tries in range(len(PAUSES) + 1):
        try:
            return action()
        except RefusedError as error:
            raise DarkroomError(f"{name}: {error}") from None
        except (OSError, BusyError) as error:
            if tries == len(PAUSES):
                raise PassingError(
                    f"{name}: cannot be read ({describe(error)}) after {tries + 1} tries; check "
                    "the address and the network, then run again"
                ) from None
            _wait(name, error, tries)
    raise AssertionError("unreachable")


def describe(error: BaseException) -> str:
    """Return what happened, without the wrapping of urllib."""
    return str(getattr(error, "reason", None) or error or type(error).__name__)


class _close:  # noqa: N801 - used as a statement
    def __init__(self, piece: Piece) -> None:
        self._piece = piece

    def __enter__(self) -> Piece:
        return self._piece

    def __exit__(self, *error: object) -> None:
        self._piece.stream.close()


def _write(piece: Piece, target: Path, advance: Callable[[int], Any]) -> None:
    """Write what comes; raise OSError if less comes than was told."""
    try:
        out = target.open("r+b" if piece.start else "wb")
    except OSError as error:
        raise _disk_full(target, error) from None
    with out:
        out.seek(piece.start)
        out.truncate()
        while chunk := piece.stream.read(CHUNK):
            try:
                out.write(chunk)
            except OSError as error:
                raise _disk_full(target, error) from None
            advance(len(chunk))
        got = out.tell()
    if piece.total is not None and got != piece.total:
        raise ConnectionError(f"the connection broke after {got:,} of {piece.total:,} bytes")


def _disk_full(target: Path, error: OSError) -> DarkroomError:
    return DarkroomError(f"{target}: cannot be written ({error}); mend that, then run again")


def _why_anew(before: str, now: str) -> str:
    return "changed under way" if now != before else "the server sends files only whole"


def _wait(name: str, error: BaseException, tries: int) -> None:
    asked = getattr(error, "pause", None)
    pause = PAUSES[min(tries, len(PAUSES) - 1)] if asked is None else min(asked, LONGEST_PAUSE)
    if not isinstance(error, ChangedError):
        say(f"{name}: {describe(error)}; again in {pause:g} s")
    time.sleep(pause)


def _describe_end(remote: Remote, error: BaseException, tries: int, kept: int) -> str:
    if isinstance(error, ChangedError):
        return f"{remote.name}: changes while it is fetched, {tries} times; fetch it when it rests"
    return (
        f"{remote.name}: download failed ({describe(error)}) after {tries} tries; check the "
        "address and the network, then run again"
        + (f": {kept / 1e6:,.1f} MB are here and will not be fetched again" if kept else "")
    )


def _check_digest(remote: Remote, file: Path, digest: tuple[str, str]) -> None:
    algorithm, expected = digest
    if not expected:
        return
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != expected:
        raise PassingError(
            f"{remote.name}: its {algorithm} is {found}, but the store says {expected}; it was "
            "damaged on the way or changed: run again"
        )


def parse_digest(text: str) -> tuple[str, str]:
    """Return kind and value of what a listing has of a file, such as md5:…; empty: nothing."""
    kind, _, value = text.partition(":")
    return kind, value


def to_base64(text: str) -> str:
    """Return text in base64, as http wants a login."""
    return base64.b64encode(text.encode()).decode()


def from_base64(text: str | None) -> str:
    """Return a digest that a store gives in base64 as hex."""
    return base64.b64decode(text).hex() if text else ""

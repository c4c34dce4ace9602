"""Write whole or not at all: to a temporary name beside the target, then moved into place.

Nowhere else is anything removed or replaced (tests/contract/test_nothing_lost.py), and here only
what Darkroom wrote itself: see ``ownership.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from components.common.errors import DarkroomError
from components.common.files.ownership import (
    LEDGER,
    LEFT_BEHIND,
    STAMP,
    check_file,
    check_folder,
    find_listed,
    find_written,
    note_file,
    write_stamp,
)
from components.common.files.temporary import (
    OWNER,
    clear_places,
    create_place,
    holding_signals,
)

NEW, OLD = "new", "old"  # in it: what is written, and what it replaces
PLACE = re.compile(r"\.darkroom-[0-9a-f]{16}\.partial")  # of what is being written


@contextmanager
def writing(target: Path, *, damaged: bool = False, edits: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside a target file; on success it becomes the target.

    The temporary file has the target's name, in a folder of its own: writers such as Keras choose
    the format by the suffix. When the body raises, it is removed and an old target stays as it was.
    A link is replaced, not what it leads to.

    Args:
        target: the file.
        damaged: what has changed in a file of an earlier run is damage, and is replaced.
        edits: the body writes somebody's own file anew, with what is asked for changed in it.

    Raises:
        DarkroomError: if a file is in place that Darkroom did not write; before the body runs.
    """
    if _is_inside_new(target):  # nobody else's file can be there
        temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return
    if not edits:
        check_file(target, damaged)
    with _making_place(target) as place:
        temporary = place / NEW / target.name
        yield temporary
        if not edits:
            check_file(target, damaged)
            note_file(target, temporary)
        temporary.replace(target)


@contextmanager
def writing_folder(target: Path, room: str, *, damaged: bool = False) -> Iterator[Path]:
    """Yield a new empty folder beside a target folder; on success it replaces the target.

    The target gets a list of what is in it, and only what such a list names is ever removed. A link
    to a folder stays; the folder that it leads to is replaced.

    Args:
        target: the folder.
        room: who writes it.
        damaged: what has changed in a file of an earlier run is damage, and is replaced.

    Raises:
        DarkroomError: if the target holds anything that this room did not write; before the body.
    """
    if os.path.lexists(target) and target.is_symlink() and target.is_dir():
        target = target.resolve()
    check_folder(target, room, damaged)
    with _making_place(target) as place:
        new, old = place / NEW / target.name, place / OLD
        new.mkdir()
        yield new
        write_stamp(new, room)
        names = check_folder(target, room, damaged)
        if os.path.lexists(target):
            target.replace(old)
        new.replace(target)
        _discard(old, names, target)


@contextmanager
def locking(folder: Path) -> Iterator[None]:
    """Let the body run in one process at a time for a folder; another one waits.

    The folder itself is locked, so nothing is left lying, and a process that is killed lets go.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def remove_written(folder: Path) -> None:
    """Remove what :func:`writing` wrote in a folder and below, and the folders that are empty then.

    Whatever else is there stays.
    """
    for name, _, _ in os.walk(folder, topdown=False):
        place = Path(name)
        if _is_inside_new(place / "any"):
            continue
        _clear_leftovers(place)
        for file in find_written(place):
            (place / file).unlink()
        (place / LEDGER).unlink(missing_ok=True)
        _remove_empty(place)


def _remove_empty(folder: Path) -> None:
    """Remove a folder if it is there and nothing is in it."""
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _making_place(target: Path) -> Iterator[Path]:
    """Yield a new folder beside a target, for what is to take its place; afterwards it is gone."""
    with ExitStack() as closing:
        try:
            with holding_signals():
                target.parent.mkdir(parents=True, exist_ok=True)
                _clear_leftovers(target.parent)
                place, owner = create_place(target.parent, ".darkroom-{}.partial", target.name)
                closing.callback(_end, place, owner, target)
        except OSError as error:
            raise DarkroomError(
                f"{error.filename or target}: cannot be written ({error.strerror}); mend that, or "
                "give another path"
            ) from None
        (place / NEW).mkdir()
        yield place


def _end(place: Path, owner: TextIO, target: Path) -> None:
    """Remove the place of this process, and let its lock go."""
    with holding_signals(), owner:
        _close(place, target)


def _clear_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder; put back what one was about to replace."""
    clear_places(folder, PLACE, _close_leftover)


def _close_leftover(place: Path, target: str) -> None:
    if target:
        _close(place, place.parent / target)
        return
    _remove_empty(place / NEW)  # an earlier version made it first
    (place / OWNER).unlink()
    place.rmdir()


def _close(place: Path, target: Path) -> None:
    """Remove a place; if it ended between the two moves of an exchange, put the old folder back."""
    old = place / OLD
    if old.exists() and not os.path.lexists(target):
        old.replace(target)
    _discard(old, find_listed(old), target)
    shutil.rmtree(place / NEW, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)  # its owner last: a kill between leaves a leftover


def _discard(old: Path, names: Iterable[str], target: Path) -> None:
    """Remove the named files of a replaced folder; what else is in it is kept."""
    if not old.exists():
        return
    for name in (*names, STAMP):  # the list last: after a kill it says what of the rest is ours
        if not name.endswith("/"):
            (old / name).unlink(missing_ok=True)
    for folder, _, files in os.walk(old, topdown=False):
        for name in LEFT_BEHIND.intersection(files):  # how a folder is shown stays with it
            with suppress(OSError):
                file = Path(folder) / name
                file.replace(target / file.relative_to(old))
        _remove_empty(Path(folder))
    if old.exists():
        kept = target.with_name(f"{target.name}.kept-{secrets.token_hex(4)}")
        old.replace(kept)
        print(f"  {kept}: what else was in {target}, kept while it was replaced", flush=True)


def _is_inside_new(path: Path) -> bool:
    return any(PLACE.fullmatch(part) for part in path.parts[:-1])


def write_text(target: Path, text: str, *, edits: bool = False, header: str = "") -> None:
    """Write a UTF-8 text file, whole or not at all; the arguments are those of :func:`writing`.

    A file of somebody's own keeps its ends of lines: those of Windows were read as ours.
    A file that begins with the `header` of the text says by itself that Darkroom wrote it.
    """
    known = bool(header) and text.startswith(header) and _begins_with(target, header)
    with writing(target, edits=edits or known) as temporary:
        ends = "\r\n" if edits and _has_windows_ends(target) else None
        temporary.write_text(text, encoding="utf-8", newline=ends)


def _has_windows_ends(file: Path) -> bool:
    """Whether the first line of a file ends as lines of Windows do."""
    try:
        with file.open("rb") as stream:
            return stream.readline(1 << 20).endswith(b"\r\n")
    except OSError:
        return False


def _begins_with(file: Path, header: str) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(header.encode())) == header.encode()
    except OSError:
        return False


def write_json(target: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all; NaN is refused, JSON has none."""
    write_text(target, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(source: Path) -> Any:
    """Read a JSON file that an earlier room wrote."""
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DarkroomError(f"{source}: not there; run the stage that writes it first") from None
    except (ValueError, RecursionError) as error:
        raise DarkroomError(f"{source}: damaged, not JSON ({error}); run its stage again") from None


def compute_sha256(file: Path) -> str:
    """Return the sha256 of a file's content, in hex, reading it piece by piece."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

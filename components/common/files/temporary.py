"""Folders for a while: they go with their process, and what a killed one left with the next.

Each has a name that is nobody's, and in it a file `owner`, locked as long as its process lives: so
what a killed process left is told from what a living one needs.
A command has one such folder for all that it keeps for a while, its libraries included: these make
folders of their own below TMPDIR, and leave them there when they are stopped or fail.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

OWNER = "owner"
NAME = re.compile(r"darkroom-[0-9a-f]{16}")  # of a command's folder
STARTING_SECONDS = 60  # more than a process of another machine needs to take its lock
STALE_SECONDS = 24 * 3600  # on a folder that several machines share
ENDING = (signal.SIGTERM, signal.SIGINT)
TRIES = 99  # of a place that others take for a dead one's while it is made


def create_place(
    around: Path, name: str, target: str = "", mode: int = 0o777
) -> tuple[Path, TextIO]:
    """Make a new folder that is this process's as long as its owner is open.

    Whoever finds it before the owner is locked takes it for a dead process's and removes it: then
    another is made.

    Args:
        around: where; it is made if it is missing.
        name: of the folder, with {} for 16 hexadecimal digits that make it nobody's.
        target: what it is for; whoever clears it is told.
        mode: who may look into it.

    Returns:
        The folder and its owner.

    Raises:
        OSError: if none can be made; then nothing of it stays.
    """
    for _ in range(TRIES):
        place = around / name.format(f"{secrets.token_hex(4)}{_compute_host_mark()}")
        with suppress(FileNotFoundError), ExitStack() as undoing:
            around.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode)
            undoing.callback(shutil.rmtree, place, ignore_errors=True)
            owner = undoing.enter_context((place / OWNER).open("w", encoding="utf-8"))
            with suppress(OSError):  # a file system without locks: then nothing is cleared either
                fcntl.flock(owner, fcntl.LOCK_EX)
            json.dump({"host": socket.gethostname(), "target": target}, owner)
            owner.flush()
            (place / OWNER).stat()  # who locked it before this process has removed it
            undoing.pop_all()
            return place, owner
    raise FileNotFoundError(errno.ENOENT, "what is new there is gone at once", str(around))


def clear_places(
    around: Path, pattern: re.Pattern[str], remove: Callable[[Path, str], None]
) -> None:
    """Remove the places that killed processes left in a folder.

    Args:
        around: the folder.
        pattern: of their names.
        remove: gets a place and its target; an empty one if the process had not come to tell it.
    """
    with os.scandir(around) as entries:
        found = [
            Path(entry.path)
            for entry in entries
            if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    for place in found:
        with suppress(OSError):  # another process clears as well, or its own lives
            _clear(place, remove)


def _clear(place: Path, remove: Callable[[Path, str], None]) -> None:
    """Remove a place if its process was killed; OSError if it lives."""
    owner = place / OWNER
    is_ours = _compute_host_mark() in place.name
    may_start = not is_ours and time.time() - place.stat().st_mtime < STARTING_SECONDS
    if not owner.exists():
        if not may_start:
            place.rmdir()  # not what is in it: its process may be about to take it
        return
    with owner.open("r+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        told = stream.read()
        target = _find_dead_target(told, owner.stat().st_mtime) if told else ""
        if target is not None and (told or not may_start):
            remove(place, target)


def _find_dead_target(told: str, seconds: float) -> str | None:
    """Return the target of an owner that lives no more; None if it may live, or is no such.

    Args:
        told: by the owner.
        seconds: when, since the epoch.
    """
    try:
        found = json.loads(told)
        # Some file systems that several machines share know only the locks of their own machine.
        is_stale = time.time() - seconds > STALE_SECONDS
        is_dead = found["host"] == socket.gethostname() or is_stale
        return Path(found["target"]).name if is_dead else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _compute_host_mark() -> str:
    """Return how this machine's places are told before they have an owner."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@contextmanager
def holding_signals() -> Iterator[dict[int, Any]]:
    """Let SIGTERM and Ctrl-C wait until the body is done: ended midway, it leaves something lying.

    Only the main thread hears signals, whichever the system gives them to, so a mask of one thread
    would hold nothing. In any other thread nothing is changed.

    Yields:
        Signal → what hears it afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    came: list[int] = []
    heard: dict[int, Any] = {
        int(number): signal.signal(number, lambda n, _: came.append(n)) for number in ENDING
    }
    try:
        yield heard
    finally:
        for one, handler in heard.items():
            signal.signal(one, handler or signal.SIG_DFL)
        for one in came:
            signal.raise_signal(one)


@contextmanager
def keeping_in_one_folder() -> Iterator[None]:
    """Let temporary files of this process, and of those that it starts, lie in one new folder.

    It is removed when the process ends, after libraries have removed what they remove themselves
    by then, and so are those of commands that were killed. Where none can be made, on a full or
    closed disk, each library finds a place by itself, or says that it cannot.
    """
    before, process = os.environ.get("TMPDIR"), os.getpid()
    try:
        with holding_signals() as heard:
            folder, owner = _create_folder()
            end = functools.partial(_end, folder, owner, process)
            # What is registered first is called last: matplotlib, without a home, registers its
            # own.
            atexit.register(end)
            if heard.get(signal.SIGTERM) == signal.SIG_DFL:  # until the very end of the process
                heard[signal.SIGTERM] = functools.partial(_end_by, end)
    except OSError:
        yield
        return
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        if os.getpid() == process:  # not in a fork that ends here
            tempfile.tempdir = None  # it is found anew
            os.environ.pop("TMPDIR")
            os.environ.update({} if before is None else {"TMPDIR": before})


def _create_folder() -> tuple[Path, TextIO]:
    """Make the folder where tempfile would make one, after those of killed commands are gone.

    By itself tempfile tries each place by a file, which a kill leaves there.

    Raises:
        OSError: if there is no place for it.
    """
    named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    common = ["/tmp", "/var/tmp", "/usr/tmp", "."]  # noqa: S108 - looked for, not relied on
    for around in map(Path, filter(None, [tempfile.tempdir, *named, *common])):
        with suppress(OSError):
            if around.is_dir():
                clear_places(around.absolute(), NAME, _remove)
                return create_place(around.absolute(), "darkroom-{}", mode=0o700)
    raise FileNotFoundError(errno.ENOENT, "no place for temporary files")


def _remove(folder: Path, _: str) -> None:
    """Remove the folder of a command of this user that was killed."""
    if folder.stat().st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path, owner: TextIO, process: int) -> None:
    """Remove the folder of this process, and let its lock go; a fork that ends does neither."""
    if os.getpid() != process:
        return
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:  # it ends anyway
            signal.signal(number, signal.SIG_IGN)
    shutil.rmtree(folder, ignore_errors=True)
    owner.close()


def _end_by(end: Callable[[], None], number: int, _: FrameType | None) -> None:
    """Let a signal end this process as it does by itself, but leave nothing lying."""
    end()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)

"""One folder for all that a command keeps for a while, its libraries included: it goes with it.

Libraries make folders of their own below TMPDIR, and leave them there when they are stopped or
fail. A command that is killed can remove nothing: the next one removes what it left.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"darkroom-[0-9a-f]{16}(\.new)?")
_NEW = ".new"  # behind the name until the lock is held
_OWNER = "owner"  # file in it, locked by the command as long as it lives
_STARTING_SECONDS = 60  # more than a command needs to take its lock


@contextmanager
def keeping_in_one_folder() -> Iterator[None]:
    """Let temporary files of this process, and of those that it starts, lie in one new folder.

    It is removed when the process ends, after libraries have removed what they remove themselves
    by then, and so are those of commands that were killed. Where none can be made, on a full or
    closed disk, each library finds a place by itself, or says that it cannot.
    """
    before, process = os.environ.get("TMPDIR"), os.getpid()
    try:
        with _holding_signals():  # tempfile tries places by files, and folders are made in steps
            folder = Path(tempfile.gettempdir()) / f"darkroom-{secrets.token_hex(8)}"
            # What is registered first is called last: matplotlib, without a home, registers its
            # own.
            atexit.register(_remove, folder, process)
            _make(folder)
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


@contextmanager
def _holding_signals() -> Iterator[None]:
    """Let what would end this process wait until the body is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(_name_unborn(folder), ignore_errors=True)


def _name_unborn(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_NEW}")


def _make(folder: Path) -> None:
    """Make a folder and take its lock for good, after those of killed commands are gone."""
    _clear_abandoned(folder.parent)
    unborn = _name_unborn(folder)
    unborn.mkdir(0o700)
    lock = os.open(unborn / _OWNER, os.O_CREAT | os.O_RDWR, 0o600)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    unborn.rename(folder)


def _clear_abandoned(around: Path) -> None:
    """Remove the folders of this user's commands that live no more."""
    with os.scandir(around) as entries:
        found = [
            Path(entry.path)
            for entry in entries
            if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in found:
        with suppress(OSError):  # another command clears as well
            if folder.stat().st_uid == os.getuid() and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody holds the lock of a folder, or nobody came to take it."""
    if folder.name.endswith(_NEW):
        return time.time() - folder.stat().st_mtime > _STARTING_SECONDS
    try:
        with (folder / _OWNER).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

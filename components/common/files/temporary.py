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
        folder, lock = _make(Path(tempfile.gettempdir()))
    except OSError:
        yield
        return
    # What is registered first is called last: matplotlib, without a home, registers its own.
    atexit.register(_remove, folder, lock, process)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        if os.getpid() == process:  # not in a fork that ends here
            tempfile.tempdir = None  # it is found anew
            os.environ.pop("TMPDIR")
            os.environ.update({} if before is None else {"TMPDIR": before})


def _remove(folder: Path, lock: int, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(around: Path) -> tuple[Path, int]:
    """Make a folder and take its lock, after those of killed commands are gone."""
    _clear_abandoned(around)
    folder = around / f"darkroom-{secrets.token_hex(8)}"
    unborn = folder.with_name(f"{folder.name}{_NEW}")
    unborn.mkdir(0o700)
    lock = os.open(unborn / _OWNER, os.O_CREAT | os.O_RDWR, 0o600)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    unborn.rename(folder)
    return folder, lock


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

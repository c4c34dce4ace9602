"""What is opened must be a file: a pipe waits for who writes into it, a device may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from components.common.errors import DarkroomError


def check_plain(path: Path) -> None:
    """Refuse a pipe, socket or device; what is missing says whoever opens it.

    Raises:
        DarkroomError: if it is one.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DarkroomError(
            f"{path}: a pipe, socket or device, not a file; put the file back, or run the stage "
            "again that wrote it"
        )


def check_all_plain(folder: Path) -> None:
    """Refuse a folder with such a thing among its files.

    Raises:
        DarkroomError: if it has one, by its name.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            check_plain(Path(place, name))

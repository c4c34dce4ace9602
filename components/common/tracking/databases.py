"""The address of a database in a file, which is no path: in an address `%41` stands for A."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from components.common.errors import DarkroomError

SQLITE = "sqlite:///"
_READ = re.compile("[%?]")  # what SQLAlchemy reads as something else


def name_database(file: Path) -> str:
    """Return the address of an SQLite file, as SQLAlchemy reads it.

    MLflow makes the folder of an address without reading it, so a `%25` would leave an empty folder
    beside the one that is meant: the way from the present folder has none, if it can be had.
    """
    path = str(file)
    if _READ.search(path):
        path = os.path.relpath(file)
    return f"{SQLITE}{_READ.sub(lambda sign: quote(sign[0]), path)}"


def find_database(uri: str, setting: str) -> Path | None:
    """Return the SQLite file that an address leads to; None: it is that of something else.

    Args:
        uri: of a database or a server.
        setting: what holds it, for the message.

    Raises:
        DarkroomError: if a path was written into it as it is, and leads elsewhere as an address.
    """
    if not uri.startswith(SQLITE):
        return None
    written = Path(uri.removeprefix(SQLITE))
    meant = Path(unquote(str(written)))
    if written != meant and written.parent.is_dir() and not meant.parent.is_dir():
        sign = re.findall("%[0-9a-fA-F]{2}", uri)[0]
        raise DarkroomError(
            f"{setting}: {uri} is an address, in which {sign} stands for {unquote(sign)!a}, and "
            f"there is no {meant.parent}; write %25 for a % in a name: {name_database(written)}"
        )
    return meant

"""Links in an archive: which of its files they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeVar

from components.common.errors import DarkroomError
from components.ingest.placing import refuse, resolve

MOST_LINKS = 40  # that Linux follows
T = TypeVar("T")


def follow(name: str, member: str, start: PurePosixPath, target: str) -> str:
    """Return the path that a link in an archive leads to; one that leads out of it is refused."""
    inside = resolve(start / target)
    if inside is None:
        raise refuse(name, member, f"is a link out of the folder, to {target!r}")
    return inside


def find_target(
    target: str, further: Mapping[str | None, str], files: Mapping[str | None, T]
) -> T | None:
    """Return the file that a link means, also by links to links; None: there is none."""
    for _ in range(MOST_LINKS):
        if target in files or target not in further:
            break
        target = further[target]
    return files.get(target)


def refuse_dead(name: str, member: str, target: str) -> DarkroomError:
    """Return the error for a link to what the archive does not hold."""
    return refuse(name, member, f"is a link to {target!r}, no file of the archive")

"""A project folder that was moved, renamed or copied: MLflow's database beside it follows.

MLflow writes the places of files into its database as absolute paths. Where the database is a file
beside `mlruns`, those of an earlier place are turned into those of the present one.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from components.common.terminal import say

FOLDER = "mlruns"  # where MLflow keeps files beside a database
# Table → the columns that hold places of files.
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def follow_folder(database: Path) -> None:
    """Turn paths of an earlier place of the project into those of the present one, and say so.

    Args:
        database: MLflow's sqlite file, which is there.
    """
    home = database.absolute().parent
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            for old in find_left(home, database.name, _read_places(connection)):
                with connection:
                    _rewrite(connection, old, home)
                say(f"this project was in {old} before: MLflow looks for its files in {home} now")
    except sqlite3.Error:
        return  # MLflow itself says what is wrong with its database


def find_left(home: Path, name: str, places: Iterable[Path]) -> list[Path]:
    """Return the folders that held the project before.

    Such a folder has no files of MLflow any more; or it is the one that this was copied from, and
    has a database of its own.

    Args:
        home: the present folder of the database.
        name: of the database.
        places: of experiments, as they are recorded.
    """
    roots: dict[Path, list[Path]] = {}
    for place in places:
        if FOLDER in place.parts:
            cut = len(place.parts) - 1 - place.parts[::-1].index(FOLDER)
            roots.setdefault(Path(*place.parts[:cut]), []).append(Path(*place.parts[cut:]))
    found = []
    for root, rests in roots.items():
        if root == home or (root.exists() and root.samefile(home)):
            continue
        if (root / name).exists():  # this is a copy of it, if it has the files as well
            is_left = any((home / rest).exists() for rest in rests)
        else:
            is_left = not (root / FOLDER).exists()
        if is_left:
            found.append(root)
    return found


def _read_places(connection: sqlite3.Connection) -> list[Path]:
    rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return [_to_path(str(place)) for (place,) in rows if place]


def _to_path(place: str) -> Path:
    if place.startswith("file:"):
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(place).path))
    return Path(place) if "://" not in place else Path()


def _rewrite(connection: sqlite3.Connection, old: Path, new: Path) -> None:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for before, after in (
        (f"{old}/{FOLDER}/", f"{new}/{FOLDER}/"),
        (f"{old.as_uri()}/{FOLDER}/", f"{new.as_uri()}/{FOLDER}/"),
    ):
        for table, columns in PLACES.items():
            for column in columns if table in there else ():
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - ours
                    f"WHERE substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, len(before), before),
                )

"""A project folder that was moved, renamed or copied: MLflow's database beside it follows.

MLflow writes the places of files into its database as absolute paths. Where the database is a file
beside `mlruns`, those of an earlier place are turned into those of the present one.

It reads such a path as part of an address: `50%41off`, as Jenkins names its folders, is `50Aoff`
to it, another folder. A path like that is given to it as an address, `file:///…/50%2541off`.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.terminal import say

FOLDER = "mlruns"  # where MLflow keeps files beside a database
# Table → the columns that hold places of files.
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def name_root(folder: Path) -> str:
    """Return the place of a folder's `mlruns` as MLflow reads it."""
    path = folder.absolute() / FOLDER
    return path.as_uri() if _decode(path) != path else str(path)


def follow_folder(database: Path) -> None:
    """Turn paths of an earlier place of the project into those of the present one, and say so.

    Args:
        database: MLflow's sqlite file, which is there.

    Raises:
        DarkroomError: if MLflow wrote this project's files into another folder, of a similar name.
    """
    home = database.absolute().parent
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            places = _read_places(connection)
            if name_root(home) != str(home / FOLDER) and home in find_roots(places):
                _find_strayed(home, places)
                with connection:
                    _rewrite(connection, home, home)
            for old in find_left(home, database.name, places):
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
    found = []
    for root, rests in find_roots(places).items():
        if root == home or (root.exists() and root.samefile(home)):
            continue
        if (root / name).exists():  # this is a copy of it, if it has the files as well
            is_left = any((home / rest).exists() for rest in rests)
        else:
            is_left = not (root / FOLDER).exists()
        if is_left:
            found.append(root)
    return found


def find_roots(places: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return folder that holds an `mlruns` → what is recorded in it, from there on."""
    roots: dict[Path, list[Path]] = {}
    for place in places:
        if FOLDER in place.parts:
            cut = len(place.parts) - 1 - place.parts[::-1].index(FOLDER)
            roots.setdefault(Path(*place.parts[:cut]), []).append(Path(*place.parts[cut:]))
    return roots


def _find_strayed(home: Path, places: Iterable[Path]) -> None:
    """Raise DarkroomError if files of this project lie where MLflow took its name to lead."""
    strayed = _decode(home) / FOLDER
    here = any((home / rest).exists() for rest in find_roots(places)[home])
    if strayed.is_dir() and not here:
        raise DarkroomError(
            f"MLflow took this folder, {home}, for {_decode(home)} and wrote its files there: move "
            f"{strayed} to {home / FOLDER}, and run again"
        )


def _decode(path: Path) -> Path:
    """Return what MLflow takes a path for."""
    return Path(urllib.parse.unquote(str(path)))


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
        (f"{old}/{FOLDER}/", f"{name_root(new)}/"),
        (f"{old.as_uri()}/{FOLDER}/", f"{new.as_uri()}/{FOLDER}/"),
    ):
        for table, columns in PLACES.items():
            for column in columns if table in there else ():
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - ours
                    f"WHERE substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, len(before), before),
                )

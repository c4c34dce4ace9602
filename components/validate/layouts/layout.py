"""Which files are examples, and what their place in the folder says: label and given split.

Two layouts are understood, and with a table (see `table.py`) any third:

* class folders: ``<class>/…/photo.jpg``;
* given splits: ``train/<class>/…/photo.jpg`` beside ``val``, ``validation``, ``valid``, ``test``.

Whatever lies in a class folder is taken for an example, so that a text file or a broken picture
there is found and named. Outside the class folders only files named as images are; a licence or a
readme is not. Hidden files and what systems leave behind (``Thumbs.db``, ``__MACOSX`` …) never are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.images.pixels import SUFFIXES
from components.validate.layouts.table import join_table, read_table

if TYPE_CHECKING:
    import pandas as pd

SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
LEFT_BEHIND = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"}


@dataclass(frozen=True)
class Layout:
    """What a folder holds, before any image is opened."""

    files: pd.DataFrame  # path, label, split, group, slice columns; sorted by path
    slices: list[str]  # names of the slice columns
    empty_classes: list[str]  # class folders without a file, by path


def read_layout(folder: Path) -> Layout:
    """Read the names in a folder, and its table if there is one.

    Raises:
        DarkroomError: if there is no folder, no image in it, or its table is of no use.
    """
    import pandas as pd

    if not folder.is_dir():
        raise DarkroomError(f"{folder}: no such folder of images; set data.source to yours")
    table = read_table(folder)
    has_splits = _has_splits(folder)
    rows = [row for name in _list_files(folder, "") if (row := _place(name, has_splits))]
    found = pd.DataFrame(rows, columns=["path", "label", "split", "group"], dtype=str)
    if table is not None:
        found = join_table(found, table, SPLIT_NAMES)
    if not len(found):
        raise DarkroomError(
            f"{folder}: no images in it; it should hold one folder of images per class, such as "
            f"{folder / 'cat'} and {folder / 'dog'}"
        )
    files = found.sort_values("path", ignore_index=True)
    slices = [str(column) for column in files.columns[4:]]
    return Layout(files, slices, _find_empty_classes(folder, has_splits, set(files["path"])))


def _has_splits(folder: Path) -> bool:
    tops = {child.name for child in _list_folders(folder)}
    others = sorted(name for name in tops if name.lower() not in SPLIT_NAMES)
    given = {SPLIT_NAMES[name.lower()] for name in tops if name.lower() in SPLIT_NAMES}
    if "train" not in given or len(given) < 2:
        return False
    if others:
        raise DarkroomError(
            f"{folder}: holds splits ({', '.join(sorted(tops - set(others)))}), and beside them "
            f"{', '.join(others[:5])}; move what is neither train, val nor test out of it"
        )
    return True


def _list_folders(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_dir() and _is_ours(child.name)]


def _list_files(folder: Path, prefix: str, above: tuple[Path, ...] = ()) -> Iterator[str]:
    """Yield paths relative to the top folder, with `/`; links to folders are followed, once."""
    real = folder.resolve()
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not _is_ours(entry.name):
                continue
            if entry.is_dir():
                yield from _list_files(
                    folder / entry.name, f"{prefix}{entry.name}/", (*above, real)
                )
            elif entry.is_file() or entry.is_symlink():  # a dead link is reported, not passed over
                yield prefix + entry.name


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in LEFT_BEHIND


def _place(name: str, has_splits: bool) -> tuple[str, str, str, str] | None:
    """Return path, label, split and group of a file, or nothing if it is no example."""
    # A name that is not UTF-8 cannot stand in a table. So written it is found no more: the file
    # goes into quarantine for that.
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    parts = name.split("/")[:-1]
    split = SPLIT_NAMES[parts.pop(0).lower()] if has_splits and parts else ""
    if not parts and PurePosixPath(name).suffix.lower() not in SUFFIXES:
        return None
    return name, parts[0] if parts else "", split, ""


def _find_empty_classes(folder: Path, has_splits: bool, paths: set[str]) -> list[str]:
    """Return the class folders without a file; with given splits, those empty in every split."""
    roots = (
        [c for c in folder.iterdir() if c.is_dir() and _is_ours(c.name)] if has_splits else [folder]
    )
    classes: dict[str, str] = {}
    for root in roots:
        for child in _list_folders(root):
            classes.setdefault(child.name, child.relative_to(folder).as_posix())
    filled = {
        path.split("/")[int(has_splits)] for path in paths if path.count("/") > int(has_splits)
    }
    return sorted(place for name, place in classes.items() if name not in filled)

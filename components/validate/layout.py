"""Which files are examples, and what the folder says of each: label, split, group, slice columns.

Three layouts are understood:

* class folders: ``<class>/…/photo.jpg``;
* given splits: ``train/<class>/photo.jpg`` beside ``val`` (or ``validation``, ``valid``) or ``test``;
* a table, ``metadata.csv`` or ``metadata.parquet`` in the folder, with a row a file: ``path`` and any of ``label``,
  ``split`` and ``group``; every further column is a slice column. What the table says goes before the folders.

Hidden files are no examples, nor is what lies above the class folders and is no image (a licence, a readme).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.images import SUFFIXES

if TYPE_CHECKING:
    import pandas as pd

SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
TABLES = ("metadata.csv", "metadata.parquet")


@dataclass(frozen=True)
class Layout:
    """What a folder holds, before any image is opened."""

    files: pd.DataFrame  # path, label, split, group and slice columns; sorted by path
    empty_classes: list[str]  # class folders without a file


def read_layout(folder: Path) -> Layout:
    """Read the names in a folder, and its table if there is one.

    Raises:
        DarkroomError: if there is no folder, or nothing in it, or its table is of no use.
    """
    import pandas as pd

    if not folder.is_dir():
        raise DarkroomError(f"{folder}: no such folder of images; set data.source to yours")
    names = sorted(_list_files(folder))
    has_splits = _has_splits(folder)
    rows, seen = [], set()
    for name in names:
        split, label, own = _place(name, has_splits)
        if own or Path(name).suffix.lower() in SUFFIXES:
            rows.append({"path": name, "label": label, "split": split, "group": ""})
            seen.add(label)
    if not rows:
        raise DarkroomError(
            f"{folder}: no images; it should hold one folder of images per class, such as {folder}/cat"
        )
    files = _join_table(folder, pd.DataFrame(rows))
    empty = [label for label in _class_folders(folder, has_splits) if label not in seen]
    return Layout(files, empty)


def _list_files(folder: Path) -> list[str]:
    """Return paths relative to the folder, with `/`; hidden files and folders are left out."""
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return [
        name.as_posix()
        for name in found
        if not any(part.startswith(".") for part in name.parts) and name.as_posix() not in TABLES
    ]


def _has_splits(folder: Path) -> bool:
    tops = {child.name for child in folder.iterdir() if child.is_dir() and child.name[0] != "."}
    return "train" in tops and len(tops) > 1 and tops <= set(SPLIT_NAMES)


def _place(name: str, has_splits: bool) -> tuple[str, str, bool]:
    """Return split, label, and whether the file lies in a class folder."""
    parts = name.split("/")[:-1]
    split = SPLIT_NAMES[parts.pop(0)] if has_splits and parts else ""
    return split, parts[0] if parts else "", bool(parts)


def _class_folders(folder: Path, has_splits: bool) -> list[str]:
    roots = [c for c in folder.iterdir() if c.is_dir()] if has_splits else [folder]
    folders = (child for root in roots for child in root.iterdir() if child.is_dir())
    return sorted({child.name for child in folders if not child.name.startswith(".")})


def _join_table(folder: Path, files: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    file = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if file is None:
        return files
    try:
        table = pd.read_csv(file, dtype=str) if file.suffix == ".csv" else pd.read_parquet(file)
    except (ValueError, OSError) as error:
        raise DarkroomError(f"{file}: not a readable table ({error})") from None
    if "path" not in table.columns:
        raise DarkroomError(f"{file}: has no column `path`; it has {', '.join(map(str, table.columns))}")
    if table["path"].duplicated().any():
        twice = table.loc[table["path"].duplicated(), "path"].iloc[0]
        raise DarkroomError(f"{file}: names {twice} in two rows; keep one")
    absent = sorted(set(table["path"]) - set(files["path"]))
    if absent:
        raise DarkroomError(
            f"{file}: names {len(absent)} files that are not in {folder}, such as {absent[0]}; paths are "
            "relative to that folder"
        )
    joined = files.merge(table, on="path", how="left", suffixes=("", " of table"))
    for column in ("label", "split", "group"):
        if f"{column} of table" in joined.columns:
            told = joined.pop(f"{column} of table")
            joined[column] = told.where(told.notna(), joined[column]).astype(str)
    unknown = sorted(set(joined["split"]) - set(SPLIT_NAMES) - {""})
    if unknown:
        raise DarkroomError(f"{file}: split {unknown[0]!r}; legal are {', '.join(SPLIT_NAMES)}")
    return joined.assign(split=joined["split"].replace(SPLIT_NAMES))

"""Which tables of a folder are read: `metadata.*` first, then exported ones, if they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.folders import Places
from components.validate.folders.listing import Listing
from components.validate.layouts.imagefolder import find_imagefolder
from components.validate.layouts.kaggle import choose_exported, find_exported, list_unlabelled
from components.validate.layouts.table import find_table
from components.validate.tables.sheets import Found, Sheet, describe_unmatched, read_rows

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import LayoutSettings

OWN = ("path", "label", "split", "group")  # columns that every table gets
SHOWN = 5  # columns in a message
COVERED = 0.9  # of the files, by a table that says other classes than the folders do


@dataclass(frozen=True)
class Seen:
    """A folder as far as it was read."""

    folder: Path
    listing: Listing
    places: Places
    told: LayoutSettings
    notes: list[str]


def read_sheets(seen: Seen, files: pd.DataFrame) -> tuple[list[Sheet], set[str]]:
    """Return the tables that are read, and the files that a table names without a label.

    Args:
        seen: the folder.
        files: columns path, label, split, group, as folders and names say them.
    """
    paths = list(files["path"])
    labels = files["label"]
    # One folder of images is no class, whatever it is called.
    has_labels = (labels != "").mean() > 0.5 and labels.nunique() > 1 and not seen.places.doubt
    found = find_table(seen.folder, seen.listing, seen.told.table, seen.places.base)
    if seen.told.table == "auto":
        found += find_imagefolder(seen.listing, seen.places)
    if found:
        return [read_rows(seen.folder, one, paths, seen.told, has_labels) for one in found], set()
    if seen.told.table != "auto":
        return [], set()
    exported = find_exported(seen.listing, seen.places)
    read = [sheet for one in exported if (sheet := _try_table(seen, one, paths))]
    if has_labels:
        return _choose_additions(seen, read, files), set()
    labelled, bare = choose_exported(seen.folder, read)
    for sheet in read:
        if sheet not in labelled and sheet not in bare:
            named = set(sheet.rows["path"])
            spare = [path for path in paths if path not in named]
            seen.notes.append(f"{describe_unmatched(sheet, spare)}; it is not read")
    if len(labelled) == 1 and not seen.places.splits:
        # All is train then, which says nothing that preprocess could keep.
        rows = labelled[0].rows
        if set(rows["split"]) == {labelled[0].found.split}:
            rows["split"] = ""
    seen.notes.extend(f"labels from {one.found.path}: {len(one.rows):,} rows" for one in labelled)
    return labelled, list_unlabelled(bare, labelled) if labelled else set()


def _try_table(seen: Seen, found: Found, paths: list[str]) -> Sheet | None:
    """Return a table that nobody named, or None where it is no table of images."""
    try:
        return read_rows(seen.folder, found, paths, seen.told, has_labels=False)
    except DarkroomError as error:
        seen.notes.append(f"{found.path} is not read: {error}")
        return None


def _choose_additions(seen: Seen, sheets: list[Sheet], files: pd.DataFrame) -> list[Sheet]:
    """Return the tables that give labels to files without, as Test.csv does beside a flat Test.

    Of others, also of those that tell something else, it is said that they are not read. One that
    names all files, and other classes than the folders do, stops it.
    """
    own = files.set_index("path")["label"]
    added = []
    for sheet in sheets:
        rows = sheet.rows[sheet.rows["path"].isin(own.index) & (sheet.rows["label"] != "")]
        name = sheet.found.path
        if not sheet.has_labels:
            seen.notes.extend(_note_columns(sheet, len(files)))
        if not sheet.has_labels or not len(rows):
            continue
        labels = own[rows["path"]].to_numpy()
        if (labels == "").mean() >= COVERED:
            seen.notes.append(f"labels from {name}: {len(rows):,} rows")
            added.append(sheet)
            continue
        line = f"`table: {name}` in section validate.layout reads it"
        differs = (rows["label"].to_numpy() != labels).sum()
        if len(rows) >= COVERED * len(files) and 2 * differs > len(rows):
            shown = rows.iloc[0]
            raise DarkroomError(
                f"{seen.folder}: {name} names {len(rows):,} of {len(files):,} images, and other "
                f"classes than the folders do: {shown['path']} is {shown['label']!r} there; "
                f"{line}, `table: none` keeps the folders as classes"
            )
        seen.notes.append(f"{name} is not read, since the folders say the classes; {line}")
    return added


def _note_columns(sheet: Sheet, images: int) -> list[str]:
    """Say what a table without labels tells of the images, and that it is not read."""
    columns = [name for name in sheet.rows.columns if name not in OWN]
    if (sheet.rows["group"] != "").any():
        columns.insert(0, "group")
    if not columns or 2 * sheet.files < max(sheet.named, images):
        return []
    name, first = sheet.found.path, columns[0]
    return [
        f"{name} names {sheet.files:,} of {images:,} images, and is not read; `table: {name}` in "
        f"section validate.layout makes slices of its columns ({', '.join(columns[:SHOWN])}), and "
        f"`group_column: {first}` there keeps on one side of the splits what has one {first}"
    ]

"""Which tables of a folder are read: `metadata.*` first, then exported ones, if they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.terminal import count_of
from components.validate.folders.folders import Places
from components.validate.folders.listing import Listing
from components.validate.layouts.imagefolder import find_imagefolder
from components.validate.layouts.kaggle import choose_exported, find_exported, list_unlabelled
from components.validate.layouts.public import Images, read_bird_classes, read_voc
from components.validate.layouts.table import find_table, suggest_tables
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
    sheets, unlabelled = _find_sheets(seen, files)
    return [_pad_numbers(one, files["label"], seen.notes) for one in sheets], unlabelled


def _find_sheets(seen: Seen, files: pd.DataFrame) -> tuple[list[Sheet], set[str]]:
    paths = list(files["path"])
    labels = files["label"]
    # One folder of images is no class, whatever it is called.
    has_labels = (labels != "").mean() > 0.5 and labels.nunique() > 1 and not seen.places.doubt
    found = find_table(seen.folder, seen.listing, seen.told.table, seen.places.base)
    if seen.told.table == "auto":
        found += find_imagefolder(seen.listing, seen.places)
    if found:
        read = [read_rows(seen.folder, one, paths, seen.told, has_labels) for one in found]
        bare = [one for one in read if not (one.rows["label"] != "").any()]
        seen.notes.extend(map(_note_labelless, [] if has_labels else bare))
        return read, set()
    if seen.told.table != "auto":
        return [], set()
    if classes := None if has_labels else _read_classes(seen, paths):
        return [classes], set()
    exported = find_exported(seen.listing, seen.places)
    read = [sheet for one in exported if (sheet := _try_table(seen, one, paths))]
    if has_labels:
        added = _choose_additions(seen, read, files)
        if not any(one.has_labels for one in added) and (labels == "").any():
            added += [one for one in _read_quietly(seen, paths) if _gives_missing(one, files)]
        return added, set()
    labelled, bare = choose_exported(seen.folder, read)
    if not labelled:
        read += _read_quietly(seen, paths)
        labelled, bare = choose_exported(seen.folder, read)
    for sheet in read:
        if sheet not in labelled and sheet not in bare:
            named = set(sheet.rows["path"])
            spare = [path for path in paths if path not in named]
            seen.notes.append(f"{describe_unmatched(sheet, spare)}; it is not read")
    if not labelled:
        seen.notes.extend(map(_note_labelless, bare))
    if len(labelled) == 1 and not seen.places.splits:
        # All is train then, which says nothing that preprocess could keep.
        rows = labelled[0].rows
        if set(rows["split"]) == {labelled[0].found.split}:
            rows["split"] = ""
    seen.notes.extend(
        f"labels from {one.found.path}: {count_of(len(one.rows), 'row')}" for one in labelled
    )
    return labelled, list_unlabelled(bare, labelled) if labelled else set()


def _read_classes(seen: Seen, paths: list[str]) -> Sheet | None:
    """Return what the lists of public data sets say of classes; None where there are none."""
    images = Images(seen.folder, paths, seen.places.base)
    if sheet := read_voc(images, seen.listing):
        above = sheet.found.path.rpartition("/")[0]
        seen.notes.append(
            f"labels from {above}: {count_of(len(sheet.rows), 'image')}, a list a class"
        )
    elif sheet := read_bird_classes(images, seen.listing):
        seen.notes.append(f"labels from {sheet.found.path}: {count_of(len(sheet.rows), 'image')}")
    return sheet


def _try_table(seen: Seen, found: Found, paths: list[str]) -> Sheet | None:
    """Return a table that nobody named, or None where it is no table of images."""
    try:
        return read_rows(seen.folder, found, paths, seen.told, has_labels=False)
    except DarkroomError as error:
        seen.notes.append(f"{found.path} is not read: {error}")
        return None


def _read_quietly(seen: Seen, paths: list[str]) -> list[Sheet]:
    """Return what text files and JSON say, of which most hold anything but a table of images."""
    found = find_exported(seen.listing, seen.places, quiet=True)
    notes = list(seen.notes)
    read = [sheet for one in found if (sheet := _try_table(seen, one, paths))]
    seen.notes[:] = notes
    return [
        sheet
        for sheet in read
        if 2 * sheet.files >= sheet.named > 0 and (sheet.has_labels or sheet.marks)
    ]


def _gives_missing(sheet: Sheet, files: pd.DataFrame) -> bool:
    """Whether a table gives labels to files that have none, and to hardly any other."""
    own = files.set_index("path")["label"]
    rows = sheet.rows[sheet.rows["path"].isin(own.index) & (sheet.rows["label"] != "")]
    return len(rows) > 0 and bool((own[rows["path"]] == "").mean() >= COVERED)


def _choose_additions(seen: Seen, sheets: list[Sheet], files: pd.DataFrame) -> list[Sheet]:
    """Return the tables that give labels to files without, as Test.csv does beside a flat Test.

    Of others, also of those that tell something else, it is said that they are not read. One that
    names all files, and other classes than the folders do, stops it.
    """
    own = files.set_index("path")["label"]
    added = []
    telling = [one for one in sheets if _tells_splits(one, seen, own)]
    for sheet in sheets:
        rows = sheet.rows[sheet.rows["path"].isin(own.index) & (sheet.rows["label"] != "")]
        name = sheet.found.path
        if telling == [sheet]:
            seen.notes.append(
                f"{name} names {sheet.files:,} of {len(files):,} images: the splits "
                f"from its column {sheet.columns['split']} are kept, and nothing else of it; "
                "`splits: none` in section validate.layout lets preprocess draw its own"
            )
            added.append(keep_splits(sheet))
            continue
        if not sheet.has_labels:
            seen.notes.extend(_note_columns(sheet, len(files)))
        if not sheet.has_labels or not len(rows):
            continue
        if _gives_missing(sheet, files):
            seen.notes.append(f"labels from {name}: {count_of(len(rows), 'row')}")
            added.append(sheet)
            continue
        line = f"`table: {name}` in section validate.layout reads it"
        refuse_differing(seen, [sheet], own)
        seen.notes.append(f"{name} is not read, since the folders say the classes; {line}")
    return added


def _pad_numbers(sheet: Sheet, own: pd.Series, notes: list[str]) -> Sheet:
    """Return a table whose numbers of classes are written as the folders write them: 0 as 00000."""
    folders = set(own) - {""}
    forms = {str(int(name)): name for name in folders if name.isdecimal()}
    told = set(sheet.rows["label"]) - {""}
    if len(forms) < len(folders) or not all(map(str.isdecimal, told)):
        return sheet
    meant = {name: forms.get(str(int(name)), name) for name in told}
    changed = sorted(name for name in told if meant[name] != name)
    if not changed:
        return sheet
    notes.append(
        f"{sheet.found.path}: numbers of classes as the folders write them, {changed[0]} as "
        f"{meant[changed[0]]}"
    )
    labels = sheet.rows["label"].map(lambda name: meant.get(name, ""))
    return replace(sheet, rows=sheet.rows.assign(label=labels))


def _count_differing(rows: pd.DataFrame, own: pd.Series) -> int:
    """Return how many rows say another class than the folders; a number for each class does not."""
    told, given = list(rows["label"]), list(own[rows["path"]])
    pairs = set(zip(told, given, strict=True))
    if len(pairs) == len(set(told)) == len(set(given)):
        return 0
    return sum(one != other for one, other in zip(told, given, strict=True))


def refuse_differing(seen: Seen, sheets: Sequence[Sheet], own: pd.Series) -> None:
    """Raise DarkroomError where tables name nearly all images, and other classes than the folders.

    Args:
        seen: the folder.
        sheets: tables, one or one a split.
        own: label of each path.
    """
    import pandas as pd

    table = pd.concat([sheet.rows for sheet in sheets])
    rows = table[table["path"].isin(own.index) & (table["label"] != "")]
    if rows["label"].nunique() < 2:
        return  # says nothing of classes
    if len(rows) < COVERED * len(own) or 2 * _count_differing(rows, own) <= len(rows):
        return
    names = [sheet.found.path for sheet in sheets]
    shown = rows.iloc[0]
    raise DarkroomError(
        f"{seen.folder}: {' and '.join(names)} name{'' if names[1:] else 's'} {len(rows):,} of "
        f"{len(own):,} images, and other classes than the folders do: {shown['path']} is "
        f"{shown['label']!r} there; {suggest_tables(names)} in section validate.layout reads "
        f"{'them' if names[1:] else 'it'}, `table: none` keeps the folders as classes"
    )


def _tells_splits(sheet: Sheet, seen: Seen, own: pd.Series) -> bool:
    """Whether a table says of nearly all images in which split each is, and the folders do not."""
    if seen.places.splits or seen.told.splits == "none" or "split" not in sheet.columns:
        return False
    rows = sheet.rows[sheet.rows["path"].isin(own.index)]
    is_other = len(own) and 2 * _count_differing(rows[rows["label"] != ""], own) > len(rows)
    return sheet.files >= COVERED * max(sheet.named, len(own)) and not is_other


def keep_splits(sheet: Sheet) -> Sheet:
    """Return what a table says of splits alone."""
    rows = sheet.rows[list(OWN)].assign(label="", group="")
    return replace(sheet, rows=rows, has_labels=False, notes=[])


def _note_columns(sheet: Sheet, images: int) -> list[str]:
    """Say what a table without labels tells of the images, and that it is not read."""
    columns = _list_columns(sheet)
    tells_split = "split" in sheet.columns
    if not (columns or tells_split) or 2 * sheet.files < max(sheet.named, images):
        return []
    name = sheet.found.path
    words = f"{name} names {sheet.files:,} of {images:,} images, and is not read; `table: {name}` "
    words += "in section validate.layout "
    if tells_split:
        words += f"takes the splits from its column {sheet.columns['split']}"
    if columns:
        first = columns[0]
        words += f"{' and ' if tells_split else ''}makes slices of its columns "
        words += f"({', '.join(columns[:SHOWN])}), and `group_column: {first}` there keeps on one "
        words += f"side of the splits what has one {first}"
    return [words]


def _list_columns(sheet: Sheet) -> list[str]:
    columns = [name for name in sheet.rows.columns if name not in OWN]
    return ["group", *columns] if (sheet.rows["group"] != "").any() else columns


def _note_labelless(sheet: Sheet) -> str:
    """Say that a table of images was found, and no labels in it."""
    columns = _list_columns(sheet)
    if not len(sheet.rows):
        return f"{sheet.found.path} has no rows, so it is not read for labels"
    words = f"{sheet.found.path} names {sheet.files:,} images, and is not read for labels: "
    if sheet.has_labels:
        return f"{words}in its column {sheet.columns.get('label', '')} stands nothing"
    if not columns:
        return f"{words}beside their names it holds none"
    return (
        f"{words}none of its columns is known to hold them ({', '.join(columns[:SHOWN])}); "
        "`label_column: …` in section validate.layout says which"
    )

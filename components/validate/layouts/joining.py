"""What folders say and what tables say, joined; and what no single label comes of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.terminal import count_of
from components.validate.folders.folders import Places
from components.validate.folders.words import is_unlabelled, is_wrapper, name_split
from components.validate.tables.columns import TOLD
from components.validate.tables.reading import tidy
from components.validate.tables.several import find_several
from components.validate.tables.sheets import Sheet, describe_unmatched

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params

FOR_PREDICT = "no labels, so passed over; they are for `python -m components.predict`"


def join(files: pd.DataFrame, sheets: list[Sheet]) -> pd.DataFrame:
    """Return the files with what the tables say, and a row for each file they name in vain."""
    import pandas as pd

    if not sheets:
        return files
    table = pd.concat([sheet.rows for sheet in sheets], ignore_index=True)
    twice = table.loc[table["path"].duplicated(), "path"]
    if len(twice):
        names = " and ".join(sheet.found.path for sheet in sheets)
        raise DarkroomError(f"{names}: name {twice.iloc[0]} in two rows; keep one")
    joined = files.merge(table, on="path", how="outer", suffixes=("", " told"))
    for column in TOLD:
        said = joined.pop(f"{column} told").fillna("")
        joined[column] = said.where(said != "", joined[column].fillna(""))
    for column in joined.columns[4:]:
        joined[column] = tidy(joined[column])
    return joined


def pass_unlabelled(
    files: pd.DataFrame, places: Places, unlabelled: set[str], notes: list[str]
) -> pd.DataFrame:
    """Return the files without those of a split, or a table, that holds no labels.

    Raises:
        DarkroomError: if the split to train on holds none.
    """
    known = set(files.loc[files["split"] != "test", "label"]) - {""}
    for root, split in places.splits.items():
        inside = files["path"].str.startswith(root)
        labels = set(files.loc[inside, "label"])
        # `test/unknown/1.jpg` is how Keras wants a folder without labels.
        is_bare = all(not name or (name not in known and _is_nameless(name)) for name in labels)
        if split == "train" and labels == {""} and (files["label"] != "").any():
            raise DarkroomError(
                f"{root.rstrip('/')}: {int(inside.sum()):,} images to train on, and nothing says "
                "of which class they are: no class folders in it, and no table that names them"
            )
        if split != "train" and inside.any() and is_bare and known:
            notes.append(f"{root.rstrip('/')}: {int(inside.sum()):,} images with {FOR_PREDICT}")
            files = files[~inside]
            if not (files["split"] == split).any():
                notes.append(
                    f"no {split} with labels is given: preprocess draws it from train, by content"
                )
    bare = files["path"].isin(unlabelled) & (files["label"] == "")
    if bare.any():
        notes.append(f"{int(bare.sum()):,} images are named by a table with {FOR_PREDICT}")
        files = files[~bare]
    return files.reset_index(drop=True)


def note_spare(files: pd.DataFrame, sheets: list[Sheet], notes: list[str]) -> None:
    """Say which rows found no file and which files no row, and what would bring them together."""
    if not sheets:
        return
    named = {path for sheet in sheets for path in sheet.rows["path"]}
    spare = [path for path in files["path"] if path not in named]
    for sheet in sheets:
        if sheet.unmatched:
            below = [path for path in spare if path.startswith(sheet.found.below)]
            notes.append(describe_unmatched(sheet, below))
    lost = files.loc[files["path"].isin(spare) & (files["label"] == ""), "path"]
    if len(lost):
        words = count_of(len(lost), "image has", "images have")
        notes.append(f"{words} no row and no label, such as {lost.iloc[0]!r}")


def reject_several(
    files: pd.DataFrame, by_table: set[str], notes: list[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the files with single labels, and why those of several are rejected.

    Args:
        files: columns path, label.
        by_table: paths of those whose label a table says. A folder is one class, and so is what a
            pattern reads from a name, whatever it is called: `ice cream` beside `ice` and `cream`.
        notes: receives how many are rejected.
    """
    is_cell = files["path"].isin(by_table)
    found = find_several(list(files["label"]))
    cells = set(files.loc[is_cell, "label"])
    several = {label: parts for label, parts in found.items() if label in cells}
    single = {
        label: parts[0] if parts else "" for label, parts in several.items() if len(parts) < 2
    }
    told = files["label"].map(lambda label: single.get(label, label))
    files = files.assign(label=files["label"].where(~is_cell, told))
    several = {label: parts for label, parts in several.items() if len(parts) > 1}
    if not several:
        return files, {}
    shown = {label: ", ".join(parts) for label, parts in several.items()}
    is_several = is_cell & files["label"].isin(several)
    rows = files[is_several]
    example = next(iter(rows["label"]))
    notes.append(
        f"multi-label: {len(rows):,} of {len(files):,} images have several labels in one cell, "
        f"such as {shown[example]} for {rows['path'].iloc[0]}; they are left out"
    )
    rejected = {
        path: f"several labels: {shown[label]}"
        for path, label in zip(rows["path"], rows["label"], strict=True)
    }
    return files.assign(label=files["label"].where(~is_several, "")), rejected


def reject_shallow(files: pd.DataFrame, params: Params) -> dict[str, str]:
    """Return why a file has no label that lies in fewer folders than make a class's name."""
    depth = params.layout.class_depth
    if depth in (1, "all"):
        return {}
    why = f"no label: it lies in fewer folders than validate.layout.class_depth, {depth}"
    return {path: why for path in files.loc[files["label"] == "", "path"] if "/" in path}


def _is_nameless(label: str) -> bool:
    return is_unlabelled(label) or is_wrapper(label) or bool(name_split(label))

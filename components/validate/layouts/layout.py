"""Which files are examples, and what their places, names and tables say: label, split, group.

Each layout has a file, of which `ls` shows those with tables:

* `table.py`: `metadata.csv`, or a table named in params;
* `imagefolder.py`: a table in each split;
* `kaggle.py`: `train.csv` beside `train`, and other exported tables;
* `lists.py`: `train.txt` and `test.txt` beside class folders;
* `../folders/folders.py`: class folders, with or without given splits;
* `../folders/filenames.py`: labels in the names, by a pattern.

Whatever lies in a class folder is taken for an example, so that a broken picture there is found and
named; `../folders/listing.py` says which files beside the pictures are not. Guesses are said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.doubts import (
    describe_hidden,
    describe_kinds,
    describe_packed,
    note_side,
    refuse_labelless,
    refuse_single,
)
from components.validate.folders.filenames import read_names
from components.validate.folders.folders import Places, place_files
from components.validate.folders.listing import (
    count_side,
    describe_side,
    is_image_name,
    list_files,
)
from components.validate.folders.stored import describe_stored
from components.validate.layouts.choosing import Seen, read_sheets
from components.validate.layouts.classes import choose_classes, rename
from components.validate.layouts.joining import (
    join,
    note_spare,
    pass_unlabelled,
    reject_several,
    reject_shallow,
)
from components.validate.layouts.lists import read_lists
from components.validate.spec import Params

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Layout:
    """What a folder holds, before any image is opened."""

    files: pd.DataFrame  # path, label, split, group, slice columns; sorted by path
    slices: list[str]  # names of the slice columns
    empty_classes: list[str]  # class folders without a file, by path
    notes: list[str] = field(default_factory=list)  # what was guessed or passed over, in words
    rejected: dict[str, str] = field(default_factory=dict)  # path → why, no picture asked


def read_layout(folder: Path, params: Params | None = None) -> Layout:
    """Read the names in a folder, and its tables if there are any.

    Raises:
        DarkroomError: if there is no folder, no image in it, its table is of no use, or nothing
            says what is a class and what is a split.
    """
    import pandas as pd

    params = params or Params()
    told = params.layout
    if not folder.exists():
        raise DarkroomError(f"{folder}: no such folder of images; set data.source to yours")
    listing = list_files(folder, told.ignore)
    places = place_files(listing, told)
    if places.refusal:
        raise DarkroomError(f"{folder}: {places.refusal}")
    notes = list(places.notes)
    placed = [(row.path, row.label, row.split, "") for row in places.rows]
    files = pd.DataFrame(placed, columns=["path", "label", "split", "group"], dtype=object)
    if told.label_pattern:
        files = read_names(files, told.label_pattern, notes)
    seen = Seen(folder, listing, places, told, notes)
    sheets, unlabelled = read_sheets(seen, files)
    by_table: set[str] = set()
    for sheet in sheets:
        notes += sheet.notes
        labels = sheet.rows["label"]
        by_table |= set(sheet.rows.loc[labels != "", "path"])
    files = join(files, sheets)
    files = join(files, read_lists(seen, files))
    if places.doubt and not told.label_pattern and not set(files["path"]) <= by_table:
        raise DarkroomError(f"{folder}: {places.doubt}")
    files = pass_unlabelled(files, places, unlabelled, notes)
    if not len(files):
        out = [words for words in (describe_hidden(listing), describe_packed(listing)) if words]
        raise DarkroomError(
            f"{folder}: no images in it{''.join(f', and {words}' for words in out)}; it should "
            f"hold one folder of images per class, such as {folder / 'cat'} and {folder / 'dog'}"
            f"{describe_kinds(listing)}{describe_stored(listing)}"
        )
    if not any(map(is_image_name, files["path"])) and (stored := describe_stored(listing)):
        raise DarkroomError(f"{folder}: no images in it{describe_kinds(listing)}{stored}")
    if not (files["label"] != "").any():
        raise refuse_labelless(folder, files, (listing, places), notes)
    if not sheets and not told.label_pattern and (single := refuse_single(folder, files)):
        raise single
    note_spare(files, sheets, notes)
    note_side(listing, notes)
    files, rejected = reject_several(files, by_table, notes)
    rejected = reject_shallow(files, params) | rejected
    files, gone = choose_classes(files, params.classes, notes)
    files = files.sort_values("path", ignore_index=True)
    # The same class as a folder in two Unicode forms, or renamed into another, is not empty.
    empty = [name for name in places.empty_classes if _is_empty(name, places, files, gone, params)]
    for name in empty:
        side = count_side(listing, name)
        if side:
            notes.append(f"{name}: nothing but side files in it ({describe_side(side)})")
    texts = {name: "str" for name in files.columns if files[name].dtype == object}
    files = files.astype(texts)
    slices = [str(column) for column in files.columns[4:]]
    return Layout(files, slices, empty, notes, rejected)


def _is_empty(
    name: str, places: Places, files: pd.DataFrame, gone: set[str], params: Params
) -> bool:
    own = name[len(places.base) :]
    label = rename(own, params.classes)
    return label not in set(files["label"]) and own not in gone

"""A table beside the images, read: a row an image, each with its file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.images.listing import open_images
from components.common.terminal import count_of
from components.validate.folders.words import fold, normalise
from components.validate.tables.columns import (
    TOLD,
    Chosen,
    check_columns,
    check_slices,
    choose_columns,
    read_one_hot,
)
from components.validate.tables.headless import name_headless
from components.validate.tables.matching import clean, match_rows, suggest_pattern
from components.validate.tables.objects import SEVERAL, open_cells
from components.validate.tables.reading import as_text, read_sheet
from components.validate.tables.splits import read_flag, read_splits

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import LayoutSettings

SHOWN = 3  # names in a message
BOXED = re.compile(
    r"([^\W\d]\S*( -?\d+(\.\d+)?){4} ?)+"
)  # a label and four numbers, again and again
ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+\d+")  # of 123456789012, as spreadsheets show it


@dataclass(frozen=True)
class Found:
    """A table that was found, not read yet."""

    path: str  # relative to the folder of images
    below: str = ""  # the folder that its rows are relative to, with `/`
    split: str = ""  # that its rows are in, where they do not say it themselves
    by: str = ""  # which layout it belongs to


@dataclass
class Sheet:
    """A table that was read."""

    found: Found
    rows: pd.DataFrame  # path, label, split, group, slice columns; a row an image
    has_labels: bool
    named: int  # rows, those that name an image again included
    files: int  # those of them that have a file
    unmatched: list[str] = field(default_factory=list)  # rows that have none
    columns: dict[str, str] = field(default_factory=dict)  # label, split, group → its name there
    marks: list[str] = field(default_factory=list)  # columns of yes and no, several yes in a row
    is_guess: bool = False  # whether nothing but its values says that a column holds labels
    notes: list[str] = field(default_factory=list)


def read_rows(
    folder: Path,
    found: Found,
    files: Sequence[str],
    told: LayoutSettings,
    has_labels: bool,
) -> Sheet:
    """Read a table and find the file of each of its rows.

    Args:
        folder: folder of images, or a listing of some.
        found: which table.
        files: paths of the files in the folder.
        told: settings of the layout.
        has_labels: whether the folders give labels.

    Raises:
        DarkroomError: naming the file, the row or column, and what to do.
    """
    with open_images(folder, [found.path]).bringing() as here:
        return _read_rows(here / found.path, found, files, told, has_labels)


def _read_rows(
    file: Path, found: Found, files: Sequence[str], told: LayoutSettings, has_labels: bool
) -> Sheet:
    import pandas as pd

    known = {fold(form) for path in files for form in _forms(path)} if files else set()
    table, notes = read_sheet(file, known)

    def share(values: Sequence[str]) -> float:
        hits = match_rows([clean(value) for value in values], files, found.below).files
        return sum(map(bool, hits)) / max(1, len(hits))

    named = name_headless(file, table, share, notes)
    table, is_headless = named, named is not table
    check_columns(file, [str(name) for name in table.columns])
    chosen = choose_columns(file, table, told, share, has_labels)
    notes += [f"{found.path}: {note}" for note in chosen.notes]
    texts = _write_paths(file, table, chosen, told)
    match = match_rows([clean(text) for text in texts], files, found.below)
    notes += [
        f"{found.path}: {count_of(count, 'row finds its', 'rows find their')} file by {words}"
        for words, count in match.rules.most_common()
    ]
    slices = [n for n in table.columns if n not in _list_told(chosen)]
    check_slices(file, [name for name in slices if name not in TOLD])
    rows = pd.DataFrame(
        {
            "path": [
                path or _clean_path(file, text)
                for path, text in zip(match.files, texts, strict=True)
            ],
            **_read_told(file, table, chosen, found, notes),
        }
    )
    # A column that is not the label, but so called, cannot stand beside it.
    rows = pd.concat([rows, table[[n for n in slices if n not in TOLD]]], axis="columns")
    rows = _drop_repeated(file, rows, found, notes)
    unmatched = [text for text, path in zip(texts, match.files, strict=True) if text and not path]
    if match.unsure:
        notes.append(
            f"{found.path}: {count_of(match.unsure, 'row')} may mean several files, and find none; "
            "write their folders too"
        )
    sheet = Sheet(
        found=found,
        rows=rows,
        has_labels=bool(chosen.label or chosen.one_hot),
        named=len(texts),
        files=sum(map(bool, match.files)),
        unmatched=unmatched,
        columns={part: name for part in TOLD if (name := getattr(chosen, part))},
        marks=chosen.marks,
        is_guess=chosen.is_guess or is_headless,
        notes=notes,
    )
    return sheet


def describe_unmatched(sheet: Sheet, spare: Sequence[str], column: str = "path") -> str:
    """Return how many rows found no file, and the pattern by which they would."""
    names = sheet.unmatched
    words = (
        f"{sheet.found.path}: {len(names):,} of {sheet.named:,} rows find no file, such as "
        f"{', '.join(map(repr, names[:SHOWN]))}"
    )
    if any(ROUNDED.fullmatch(name) for name in names):
        words += "; a spreadsheet rounded the numbers that stood there: export them as text"
    if not spare:
        return words
    some = ", ".join(map(repr, spare[:SHOWN]))
    words += f"; {count_of(len(spare), 'file has', 'files have')} no row, such as {some}"
    pattern = suggest_pattern(names, spare, column)
    if pattern:
        words += f'; they would match by `path_pattern: "{pattern}"` in section validate.layout'
    return words


def _forms(path: str) -> tuple[str, str]:
    name = path.rsplit("/", 1)[-1]
    return name, name.rsplit(".", 1)[0]


def _list_told(chosen: Chosen) -> set[str]:
    return {chosen.path, chosen.label, chosen.split, chosen.group, *chosen.one_hot}


def _write_paths(
    file: Path, table: pd.DataFrame, chosen: Chosen, told: LayoutSettings
) -> list[str]:
    """Return what each row calls its file, by the pattern where there is one."""
    texts = [normalise(text) for text in as_text(table[chosen.path])]
    if not told.path_pattern:
        return texts
    columns = {str(name): list(as_text(table[name])) for name in table.columns}
    columns["path"] = texts
    try:
        return [
            told.path_pattern.format_map({name: cells[i] for name, cells in columns.items()})
            if text
            else ""
            for i, text in enumerate(texts)
        ]
    except (KeyError, IndexError, ValueError) as error:
        raise DarkroomError(
            f"{file}: validate.layout.path_pattern {told.path_pattern!r} cannot be filled in "
            f"({error}); it may name {', '.join(columns)} in braces"
        ) from None


def _read_told(
    file: Path, table: pd.DataFrame, chosen: Chosen, found: Found, notes: list[str]
) -> dict[str, pd.Series]:
    """Return label, split and group of each row as text, in Unicode NFC."""
    import pandas as pd

    told = {}
    for part in TOLD:
        name = getattr(chosen, part)
        if part == "label" and chosen.one_hot:
            told[part] = read_one_hot(table, chosen.one_hot)
        else:
            column = as_text(table[name]) if name else pd.Series("", table.index, dtype=object)
            if part == "label" and (opened := open_cells(column)) is not None:
                column = as_text(opened)
                notes.append(f"{found.path}: labels from JSON objects in column {name}")
            told[part] = column.map(normalise)
        if part == "label":
            told[part] = _drop_boxes(told[part], f"{found.path}: column {name}", notes)
        if name and part != "split":
            told[part] = _mend_floats(told[part], f"{found.path}: column {name}", notes)
    column = told["split"] if chosen.meant else read_flag(chosen.split, told["split"])
    told["split"] = read_splits(file, column, chosen.meant, chosen.split).replace("", found.split)
    return told


def _drop_boxes(column: pd.Series, where: str, notes: list[str]) -> pd.Series:
    """Return the names of labels alone where the corners of a box stand behind each.

    So ImageNet's LOC_val_solution.csv has it: `n01 10 20 30 40 n02 1 2 3 4`.
    """
    texts = set(column) - {""}
    if not texts or not all(map(BOXED.fullmatch, texts)):
        return column
    names = {text: SEVERAL.join(dict.fromkeys(text.split()[::5])) for text in texts}
    notes.append(f"{where}: labels without the four numbers of a box behind each")
    return column.map(lambda text: names.get(text, ""))


def _mend_floats(column: pd.Series, where: str, notes: list[str]) -> pd.Series:
    """Return whole numbers as such where a program made floats of them, as pandas does for gaps.

    Whether there are gaps now must not matter: the day that one comes would rename all groups.
    """
    filled = column[column != ""]
    if not len(filled) or not filled.str.fullmatch(r"-?\d+\.0").all():
        return column
    notes.append(f"{where}: whole numbers, read as such: {filled.iloc[0]} is {filled.iloc[0][:-2]}")
    return column.str.removesuffix(".0")


def _drop_repeated(file: Path, rows: pd.DataFrame, found: Found, notes: list[str]) -> pd.DataFrame:
    """Return the rows without those that say the same again; refuse two that differ."""
    told = rows[["path", *TOLD]]
    again = told.duplicated()
    twice = rows.loc[rows["path"].duplicated(keep=False) & ~again, "path"]
    twice = twice[twice.duplicated()]
    if len(twice):
        if ROUNDED.fullmatch(twice.iloc[0]):
            raise DarkroomError(
                f"{file}: names {twice.iloc[0]} in two rows: a spreadsheet rounded the numbers "
                "that stood there; export them as text"
            )
        raise DarkroomError(
            f"{file}: names {twice.iloc[0]} in two rows; keep one. Where an image has several "
            "labels, a row each, the table is multi-label, and one classifier of one label each "
            "cannot learn it"
        )
    if again.any():
        notes.append(
            f"{found.path}: {count_of(int(again.sum()), 'row names', 'rows name')} an image again "
            "with the same label, as tables with a row an object do; the first of each is read"
        )
    return rows[~again].reset_index(drop=True)


def _clean_path(file: Path, path: str) -> str:
    """Return a path with `/` and without `./`; refuse one that leads out of the folder."""
    cleaned = posixpath.normpath(path.replace("\\", "/")) if path else ""
    if not cleaned or cleaned.startswith(("/", "../")) or cleaned == "..":
        raise DarkroomError(
            f"{file}: path {path!r} is not inside the folder; write paths relative to {file.parent}"
        )
    return cleaned

"""A table whose first row is no row of names: a list of files, as older data sets have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.validate.folders.listing import is_image_name
from components.validate.folders.words import name_split, plain
from components.validate.tables.columns import (
    GROUP_NAMES,
    LABEL_NAMES,
    PATH_NAMES,
    SAMPLE,
    SHARE,
    SPLIT_NAMES,
    TOLD,
    count_rows,
)
from components.validate.tables.matching import clean

if TYPE_CHECKING:
    import pandas as pd

TEXTS = (".csv", ".tsv", ".txt", ".lst")
KNOWN = {*PATH_NAMES, *LABEL_NAMES, *SPLIT_NAMES, *GROUP_NAMES, *TOLD}


def name_headless(
    file: Path, table: pd.DataFrame, share: Callable[[Sequence[str]], float], notes: list[str]
) -> pd.DataFrame:
    """Return a table whose first row is no row of names with names, and that row as a row.

    Args:
        file: the table.
        table: its columns, named by the first row.
        share: how many of some values are names of files, 0 to 1.
        notes: receives what was done.
    """
    import pandas as pd

    names = [str(name) for name in table.columns]
    if file.suffix.lower() not in TEXTS or KNOWN & {plain(n) for n in names}:
        return table
    places = [i for i, name in enumerate(names) if _is_file(table, i, name, share)]
    if not places:
        return table
    # Beside names of images, numbers that are names of files as well count the rows.
    place = next((i for i in places if is_image_name(names[i])), places[0])
    first = pd.DataFrame([names], dtype=object)
    whole = pd.concat([first, table.set_axis(range(len(names)), axis=1)], ignore_index=True)
    parts = {place: "path"}
    for i in set(range(len(names))) - {place}:
        values = {str(value).strip() for value in whole.iloc[:, i].dropna()}
        if values and all(map(name_split, values)) and "split" not in parts.values():
            parts[i] = "split"
    rest = [i for i in range(len(names)) if i not in parts]
    # Numbers of rows, and a label before the corners of a box.
    cells = {i: list(whole.iloc[:, i].dropna().astype(str)) for i in rest}
    rest = [i for i in rest if not count_rows(cells[i])]
    if len(rest) > 1:
        words = [i for i in rest if not all(map(_is_number, cells[i]))]
        rest = words if len(rest) > 1 else rest
    if len(rest) == 1:
        parts[rest[0]] = "label"
    whole.columns = pd.Index([parts.get(i, f"column {i + 1}") for i in range(len(names))])
    shown = " and ".join(", ".join(parts[i] for i in sorted(parts)).rsplit(", ", 1))
    notes.append(f"{file.name}: no row of names; its columns are taken for {shown}")
    return whole


def _is_file(
    table: pd.DataFrame, place: int, name: str, share: Callable[[Sequence[str]], float]
) -> bool:
    """Whether the name of a column is a file, and an image's or one of many names of files."""
    if not clean(name) or not share([name]):
        return False
    values = [str(value) for value in table.iloc[:, place].dropna().head(SAMPLE)]
    return is_image_name(name) or (bool(values) and share(values) >= SHARE)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""What programs leave in a CSV that is not its content, and what is wrong with it in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Of a whole column: `="007"`, by which a spreadsheet keeps text as it is, and 'quotes' of SQL.
_QUOTES = (re.compile(r'="(.*)"', re.DOTALL), re.compile(r"'(.*)'", re.DOTALL))
_ERRORS = (
    (
        re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)"),
        r"Expected \1 fields in line \2, saw \3: a field with the delimiter in it wants quotes, "
        "each column a name, and nothing may stand above the names",
    ),
    (
        re.compile(r"EOF inside string starting at row (\d+)"),
        r"a quote that opens in row \1 is not closed",
    ),
)


def drop_quotes(table: pd.DataFrame, notes: list[str], name: str) -> pd.DataFrame:
    """Return a table without the quotes around all cells of a column, `="007"` or `'cat'`.

    Args:
        table: text columns.
        notes: receives what was done.
        name: of the file.
    """
    for place, column in enumerate(table.columns):
        cells = table.iloc[:, place].dropna()
        for quotes in _QUOTES:
            is_first = len(cells) and quotes.fullmatch(cells.iloc[0])
            if is_first and cells.str.fullmatch(quotes).all():
                bare = table.iloc[:, place].str.replace(quotes, r"\1", regex=True)
                table.isetitem(place, bare)
                notes.append(f"{name}: the quotes around all cells of column {column} are dropped")
                break
    return table


def drop_headers(table: pd.DataFrame, notes: list[str], name: str) -> pd.DataFrame:
    """Return a table without the rows that are its row of names again, as of files put together."""
    again = table.iloc[:, 0] == table.columns[0]
    again[again] = (table[again] == list(table.columns)).all(axis="columns")
    if again.any():
        notes.append(f"{name}: {int(again.sum()):,} rows of names among the others are dropped")
    return table[~again].reset_index(drop=True)


def explain(error: Exception) -> str:
    """Return what a reader says of a table, in plain words where it speaks of its insides."""
    words = " ".join(str(error).split())
    for pattern, meaning in _ERRORS:
        if hit := pattern.search(words):
            return hit.expand(meaning)
    return words

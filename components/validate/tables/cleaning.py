"""What programs leave in a CSV that is not its content, and what is wrong with it in words."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.common.terminal import count_of
from components.validate.folders.words import fold
from components.validate.tables.decoding import DELIMITERS

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


@dataclass(frozen=True)
class Mend:
    """What makes a CSV of the lines of a file that is nearly one."""

    words: str
    apply: Callable[[Sequence[str]], list[str]]


def find_mend(lines: Sequence[str], known: set[str]) -> Mend | None:
    """Return what must be done to the lines of a file first; None: nothing.

    Args:
        lines: the first ones.
        known: folded names and stems of files.
    """
    if _is_quoted_whole(lines):
        return Mend("each line stands in quotes, which are taken off", _unquote)
    if _is_counted(lines, known):
        return Mend("columns parted by spaces, below a line that counts the rows", _cut_counted)
    # Lists of older data sets: `0012 Boeing 737`, perhaps below lines of remarks.
    cells = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    names = [fold(cell[0].replace("\\", "/").rsplit("/", 1)[-1]) for cell in cells if cell[1:]]
    is_list = len(names) == len(cells) and 2 * sum(name in known for name in names) > len(cells)
    is_cut = any("\t" in line for line in lines) or any(c[0][-1] in DELIMITERS for c in cells)
    if not is_list or is_cut:
        return None
    rests = [cell[1].split() for cell in cells]
    # Columns are numbers, or a label and the corners of its box; `A 320` is one name.
    if len(set(map(len, rests))) == 1 and all(map(_are_numbers, map(_drop_label, rests))):
        return Mend("columns parted by spaces", _cut_all)
    return Mend("columns parted by the first space", _cut_names)


def _is_quoted_whole(lines: Sequence[str]) -> bool:
    """Whether each line is one quoted cell that holds delimiters."""
    rows = [row for row in csv.reader(lines) if row]
    quoted = [line.strip() for line in lines if line.strip()]
    return (
        bool(rows)
        and len(rows) == len(quoted)
        and all(len(row) == 1 and any(mark in row[0] for mark in DELIMITERS) for row in rows)
        and all(len(line) > 1 and line[0] == line[-1] == '"' for line in quoted)
        and not any('"' in line[1:-1].replace('""', "") for line in quoted)
    )


def _is_counted(lines: Sequence[str], known: set[str]) -> bool:
    """Whether a line with the number of rows stands above the names, as in CelebA's lists."""
    if len(lines) < 4 or not lines[0].strip().isdecimal():
        return False
    names, *rows = [line.split() for line in lines[1:] if line.strip()]
    widths = set(map(len, rows))
    files = sum(fold(row[0].replace("\\", "/").rsplit("/", 1)[-1]) in known for row in rows)
    is_table = len(names) > 1 and len(widths) == 1 and widths.pop() - len(names) in (0, 1)
    return is_table and fold(names[0]) not in known and 2 * files > len(rows)


def _cut_counted(lines: Sequence[str]) -> list[str]:
    rows = [line.split() for line in lines[1:] if line.strip()]
    missing = len(rows[1]) - len(rows[0])  # the names of files have none
    return ["\t".join(row) for row in [["image_id"] * missing + rows[0], *rows[1:]]]


def _drop_label(words: list[str]) -> list[str]:
    return words[1:] if len(words) in (1, 5) else words


def _are_numbers(words: Sequence[str]) -> bool:
    return all(re.fullmatch(r"-?\d+([.,]\d+)?", word) for word in words)


def _unquote(lines: Sequence[str]) -> list[str]:
    bare = [line.strip().removeprefix('"').removesuffix('"') for line in lines]
    return [line.replace('""', '"') for line in bare]


def _cut_names(lines: Sequence[str]) -> list[str]:
    return ["\t".join(line.split(None, 1)) for line in lines if not line.startswith("#")]


def _cut_all(lines: Sequence[str]) -> list[str]:
    return ["\t".join(line.split()) for line in lines if not line.startswith("#")]


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
        words = count_of(int(again.sum()), "row of names", "rows of names")
        notes.append(f"{name}: {words} among the others dropped")
    return table[~again].reset_index(drop=True)


def explain(error: Exception) -> str:
    """Return what a reader says of a table, in plain words where it speaks of its insides."""
    words = " ".join(str(error).split())
    for pattern, meaning in _ERRORS:
        if hit := pattern.search(words):
            return hit.expand(meaning)
    return words

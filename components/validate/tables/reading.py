"""One file with a table → its columns, as text wherever a number could change its looks.

Delimiter and encoding are recognised. A 0 stays 0: where a column of whole numbers has gaps, pandas
makes floats of it, and of 0 then 0.0.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError
from components.validate.folders.words import normalise
from components.validate.tables.cleaning import drop_headers, drop_quotes, explain, find_mend
from components.validate.tables.decoding import DELIMITERS, find_encoding
from components.validate.tables.objects import SEVERAL, read_records

if TYPE_CHECKING:
    import pandas as pd

UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*")  # as pandas reads a column without a name
LOOKED_AT = 50  # lines that the delimiter is guessed from
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
FEW = 8  # different whole numbers that are names of something; evaluate cuts more into ranges


def read_sheet(file: Path, known: set[str]) -> tuple[pd.DataFrame, list[str]]:
    """Read a table of any kind that is understood.

    Args:
        file: CSV (any delimiter), TSV, JSON lines, JSON or Parquet.
        known: folded names and stems of files, by which an encoding is told.

    Returns:
        Its columns, all of text, floats or booleans in object columns, None where nothing is said,
        and what was guessed, in words.

    Raises:
        DarkroomError: if it is none, naming the file and what to do.
    """
    import pandas as pd

    notes: list[str] = []
    try:
        with file.open("rb") as stream:
            _check_kind(file, stream.read(4))
        if file.suffix.lower() == ".parquet":
            table = _read_parquet(file)
        elif file.suffix.lower() in (".jsonl", ".json"):
            text = file.read_text(encoding=find_encoding(file, known, notes))
            table = _read_json(file, text, known)
        else:
            table = _read_text(file, known, notes)
    except (ValueError, OSError, csv.Error, RecursionError) as error:
        why = explain(error)
        raise DarkroomError(f"{file}: not a readable table ({why}); mend or remove it") from None
    if not len(table.columns):
        raise DarkroomError(f"{file}: a table without columns; mend or remove it")
    names = [normalise(str(name)).strip() for name in table.columns]
    columns = [tidy(table.iloc[:, i]) for i in range(len(names))]
    table = pd.concat(columns, axis="columns") if columns else table
    table.columns = pd.Index(names)
    return table, notes


def _check_kind(file: Path, head: bytes) -> None:
    if head in (ZIP, OLE) and file.suffix.lower() != ".parquet":
        raise DarkroomError(
            f"{file}: a spreadsheet's own file under the name of a table; open it, and save it as "
            "CSV UTF-8"
        )


def _read_parquet(file: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    for field in table.schema:
        if pa.types.is_struct(field.type) or pa.types.is_binary(field.type):
            names = [f.name for f in field.type] if pa.types.is_struct(field.type) else ["bytes"]
            if "bytes" in names:
                raise DarkroomError(
                    f"{file}: holds the images themselves, in column `{field.name}`; write each to "
                    "a file in the folder of its class, or name it in a column `path`"
                )
    return table.to_pandas(integer_object_nulls=True, strings_to_categorical=False)


def _read_json(file: Path, text: str, known: set[str]) -> pd.DataFrame:
    import pandas as pd

    if file.suffix.lower() == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        rows = json.loads(text)
    rows = read_records(rows, known)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    return pd.DataFrame(columns)


def _read_text(file: Path, known: set[str], notes: list[str]) -> pd.DataFrame:
    """Return a CSV as text: a label 01 is not the number 1, and a class may be called NA."""
    import pandas as pd

    encoding = find_encoding(file, known, notes)
    with file.open(encoding=encoding, newline="") as stream:
        head = [line for line, _ in zip(stream, range(LOOKED_AT), strict=False)]
    source: Path | io.StringIO = file
    mend = find_mend(head, known)
    if mend:
        lines = mend.apply(file.read_text(encoding=encoding).splitlines())
        source, head = io.StringIO("\n".join(lines)), [f"{line}\n" for line in lines[:LOOKED_AT]]
        notes.append(f"{file.name}: {mend.words}")
    skipped = 0
    while skipped < len(head) and not head[skipped].strip(" \t\r\n,;|"):
        skipped += 1
    if skipped < len(head) and head[skipped].lower().startswith("sep="):
        delimiter, skipped = head[skipped][4:5], skipped + 1  # Excel's own way of saying it
    else:
        delimiter = find_delimiter(head[skipped:])
    if not delimiter.isascii():
        raise ValueError(f"its first line says that {delimiter!r} parts the columns")
    if delimiter != "," and not mend:
        shown = {"\t": "tabs", " ": "spaces"}.get(delimiter, repr(delimiter))
        notes.append(f"{file.name}: columns parted by {shown}")
    # The names are read as a row like others: pandas would take fields without a name for an
    # index, and shift the rest, and would give the second of two equal names another.
    table = pd.read_csv(
        source,
        header=None,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        encoding=encoding,
        sep=delimiter,
        skiprows=skipped,
        skipinitialspace=True,
    )
    table.columns = pd.Index(table.iloc[0].fillna("").str.strip())
    table = drop_headers(table.iloc[1:], notes, file.name)
    table = drop_quotes(table, notes, file.name)
    # Spreadsheets leave empty rows and columns behind, pandas its numbers of the rows.
    table = table[table.notna().any(axis="columns")].reset_index(drop=True)
    keep = (table.columns != "") | table.notna().any().to_numpy()
    for place, name in enumerate(table.columns):
        if len(table) and len(table.columns) > 1 and (not name or UNNAMED.fullmatch(name)):
            keep[place] &= not _counts(table.iloc[:, place].tolist(), len(table.columns), known)
    return table.loc[:, keep]


def _counts(cells: Sequence[str], columns: int, known: set[str]) -> bool:
    """Whether a column without a name holds numbers of rows: of pandas, of R, or of a part of them.

    Args:
        cells: what it holds.
        columns: how many the table has: beside one other, its numbers may be names of files.
        known: folded names and stems of files.
    """
    if list(cells) == [str(i) for i in range(len(cells))]:
        return True
    if columns < 3 or len(set(cells)) < len(cells):
        return False
    if list(cells) == [str(i) for i in range(1, len(cells) + 1)]:
        return True
    is_number = all(isinstance(cell, str) and cell.isdecimal() for cell in cells)
    return is_number and 2 * len(known & set(cells)) <= len(cells)


def find_delimiter(lines: Sequence[str]) -> str:
    """Return what parts the columns: that under which most lines have as many as the first."""
    best, found = (0.0, 0), ","
    for delimiter in DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best:
                best, found = score, delimiter
    words = {len(line.split()) for line in lines if line.strip()}
    # `cat/1.jpg 0`, as in lists of older data sets.
    return " " if not best[0] and len(words) == 1 and max(words) > 1 else found


def tidy(column: pd.Series) -> pd.Series:
    """Return a column as objects: text, or numbers that are not whole, or None."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(object).map(lambda v: None if pd.isna(v) else str(bool(v)))
    values = column.astype(object).where(column.notna(), None).tolist()
    filled = [value for value in values if value is not None]
    if filled and all(isinstance(value, float) for value in filled):
        # Whole numbers with gaps, most likely. Many of them are a measure, such as an age.
        is_whole = all(value.is_integer() for value in filled)
        if not is_whole or len(set(filled)) > FEW:
            return pd.Series(column.to_numpy(float), name=column.name)
        values = [None if value is None else str(int(value)) for value in values]
    elif filled and all(_is_whole(value) for value in filled):
        if len(filled) == len(values):
            return pd.Series(values, name=column.name)
        if len(set(filled)) > FEW:
            return pd.Series(values, dtype=float, name=column.name)
        values = [None if value is None else str(value) for value in values]
    else:
        values = [_to_text(value) for value in values]
    return pd.Series(values, dtype=object, name=column.name)


def _is_whole(value: Any) -> bool:
    import numpy as np

    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _to_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "tolist"):  # a list column, or one of NumPy's numbers
        value = value.tolist()
    if isinstance(value, (list, tuple, set)):
        return SEVERAL.join(text for text in map(_to_text, value) if text is not None)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def as_text(column: pd.Series) -> pd.Series:
    """Return a column as stripped text, empty where nothing is said."""
    import pandas as pd

    values = [
        "" if is_gap else (_to_text(value) or "").strip()
        for value, is_gap in zip(column.astype(object).tolist(), column.isna(), strict=True)
    ]
    return pd.Series(values, index=column.index, dtype=object)

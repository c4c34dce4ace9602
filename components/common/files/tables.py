"""Write a table; read one that an earlier stage wrote, or say which stage to run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.common.errors import DarkroomError
from components.common.files.laid import ROWS, LaidTable
from components.common.files.schema import KEY, Schema
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ATTRIBUTES = b"PANDAS_ATTRS"  # where pandas keeps the attributes of a table in a Parquet file


def write_rows(file: Path, names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file, whole or not at all; without rows it holds the header alone."""
    with writing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, names)
        table.writeheader()
        table.writerows(rows)


def write_parquet(file: Path, table: pd.DataFrame, schema: Schema) -> None:
    """Write a table as Parquet, with what form it has among its attributes."""
    marked = table.copy(deep=False)
    marked.attrs = {**table.attrs, KEY: schema.mark}
    for name in marked.columns:
        marked[name] = _join(marked[name])
    marked.to_parquet(file, index=False)


def _join(column: pd.Series) -> pd.Series:
    """Return a column in one piece: the pieces in which texts lie in memory change the file.

    Arrow ends a page of Parquet at the end of a piece, too; so the same table would be other bytes.
    """
    import pandas as pd

    if not isinstance(column.dtype, pd.StringDtype) or column.dtype.storage != "pyarrow":
        return column
    pieces = column.array.__arrow_array__()
    if getattr(pieces, "num_chunks", 1) == 1:
        return column
    whole = column.dtype.__from_arrow__(pieces.combine_chunks())
    return pd.Series(whole, column.index, column.dtype, column.name)


def mark_table(table: pa.Table, schema: Schema) -> pa.Table:
    """Return an Arrow table that says what form it has, as :func:`write_parquet` does."""
    said = {_ATTRIBUTES: json.dumps({KEY: schema.mark})}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **said})


def read_mark(head: pa.Schema) -> object:
    """Return what a Parquet file says of its form; None: nothing."""
    try:
        said = json.loads((head.metadata or {}).get(_ATTRIBUTES, b"{}"))
    except (ValueError, RecursionError):
        return None
    return said.get(KEY) if isinstance(said, dict) else None


def _read_laid(file: Path, columns: list[str]) -> pd.DataFrame:
    """Return columns of a Parquet file as `pandas.read_parquet` does, with the texts on disk."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(file) as stored:
        head = stored.schema_arrow
        table = LaidTable(pa.schema([head.field(name) for name in columns]))
        try:
            for rows in stored.iter_batches(ROWS, columns=columns):
                table.write(pa.Table.from_batches([rows]))
        except ValueError:  # a whole number is missing, in somebody else's file
            return pd.read_parquet(file, columns=columns)
    found = table.read().replace_schema_metadata(head.metadata).to_pandas()
    found.attrs = json.loads((head.metadata or {}).get(_ATTRIBUTES, b"{}"))
    return found


def read_table(
    file: Path,
    what: str,
    columns: Sequence[str],
    stage: str,
    *,
    form: Literal["parquet", "csv"] = "parquet",
    others: bool = True,
    texts: Sequence[str] = (),
    schema: Schema | None = None,
    laid: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a table of another room.

    Args:
        file: Parquet or CSV; on a cluster it may have any name.
        what: the table, for messages.
        columns: those that it must have.
        stage: the room that writes it.
        form: of the file.
        others: read the other columns as well.
        texts: columns of a CSV file that are text, whatever they look like.
        schema: its form, where the file says one.
        laid: of a Parquet file, columns that are wanted alone, as far as they are there; their
            texts then lie on disk.

    Raises:
        DarkroomError: if it is missing, damaged, lacks a column, or is too old or too new.
    """
    import pandas as pd

    wanted = None if others else list(columns)
    try:
        if form == "csv":
            # A class may be called NA, null or 007; elsewhere an empty cell is what is not known.
            others_of = {name for name in pd.read_csv(file, nrows=0) if name not in texts}
            table = pd.read_csv(
                file,
                dtype=dict.fromkeys(texts, str),
                keep_default_na=False,
                na_values=dict.fromkeys(others_of, ""),
            )
            known, mark = list(table.columns), None
        else:
            from pyarrow import parquet

            head = parquet.read_schema(file)
            known, mark = head.names, read_mark(head)
            if not set(columns) <= set(known):
                table = pd.DataFrame()
            elif laid:
                table = _read_laid(file, [name for name in laid if name in known])
            else:
                table = pd.read_parquet(file, columns=wanted)
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no {what} there; run {stage} first") from None
    except (OSError, ValueError) as error:  # ValueError: of pandas, Arrow and Unicode
        raise DarkroomError(f"{file}: not a readable {what} ({error}); run {stage} again") from None
    if schema is not None:
        schema.check(file, mark)
    missing = [name for name in columns if name not in known]
    if missing:
        raise DarkroomError(f"{file}: {what} lacks {', '.join(missing)}; run {stage} again")
    return table

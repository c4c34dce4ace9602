"""Write a table; read one that an earlier stage wrote, or say which stage to run."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.common.errors import DarkroomError
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd


def write_rows(file: Path, names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file, whole or not at all; without rows it holds the header alone."""
    with writing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, names)
        table.writeheader()
        table.writerows(rows)


def read_table(
    file: Path,
    what: str,
    columns: Sequence[str],
    stage: str,
    *,
    form: Literal["parquet", "csv"] = "parquet",
    others: bool = True,
    texts: Sequence[str] = (),
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

    Raises:
        DarkroomError: if it is missing, damaged, or lacks a column.
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
            known = list(table.columns)
        else:
            from pyarrow import parquet

            known = parquet.read_schema(file).names
            has_all = set(columns) <= set(known)
            table = pd.read_parquet(file, columns=wanted) if has_all else pd.DataFrame()
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no {what} there; run {stage} first") from None
    except (OSError, ValueError) as error:  # ValueError: of pandas, Arrow and Unicode
        raise DarkroomError(f"{file}: not a readable {what} ({error}); run {stage} again") from None
    missing = [name for name in columns if name not in known]
    if missing:
        raise DarkroomError(f"{file}: {what} lacks {', '.join(missing)}; run {stage} again")
    return table

"""The table in a folder of images: ``metadata.csv`` or ``metadata.parquet``, a row an image.

`path`, relative to the folder, is required. `label`, `split` (train, val, validation, valid, test)
and `group` go before what the folders say where they are filled; every further column is a slice
column. An image without a row keeps what its folder says. A row whose file is not there becomes a
row of the manifest, in quarantine.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import COLUMNS
from components.common.errors import DarkroomError

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("metadata.csv", "metadata.parquet")
TOLD = ("label", "split", "group")


def read_table(folder: Path) -> pd.DataFrame | None:
    """Read the table of a folder, or return None where it has none.

    Returns:
        Columns path, then label, split and group (text, empty where nothing is said) and the slice
        columns; what misses in those is None. The attribute `attrs["file"]` names the file.

    Raises:
        DarkroomError: naming the file, the row or column, and what to do.
    """
    import pandas as pd

    files = [folder / name for name in TABLES if (folder / name).is_file()]
    if not files:
        return None
    if len(files) > 1:
        raise DarkroomError(f"{folder}: has both {' and '.join(TABLES)}; keep one")
    file = files[0]
    try:
        table = _read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    except (ValueError, OSError) as error:
        why = " ".join(str(error).split())
        raise DarkroomError(f"{file}: not a readable table ({why}); mend or remove it") from None
    _check_columns(file, [str(column) for column in table.columns])
    for column in ("path", *TOLD):
        told = table[column] if column in table else pd.Series("", table.index)
        table[column] = told.astype(object).where(told.notna(), "").astype(str).str.strip()
    table["path"] = [_clean_path(file, path) for path in table["path"]]
    twice = table.loc[table["path"].duplicated(), "path"]
    if len(twice):
        raise DarkroomError(f"{file}: names {twice.iloc[0]} in two rows; keep one")
    slices = [column for column in table.columns if column not in ("path", *TOLD)]
    table = table[["path", *TOLD, *slices]]
    table.attrs["file"] = str(file)
    return table


def join_table(files: pd.DataFrame, table: pd.DataFrame, splits: Mapping[str, str]) -> pd.DataFrame:
    """Return the files with what the table says of them, and a row for each file it names in vain.

    Args:
        files: columns path, label, split, group.
        table: of :func:`read_table`.
        splits: name of a split as people write it, lower case → as the manifest has it.
    """
    unknown = sorted(set(table["split"].str.lower()) - set(splits) - {""})
    if unknown:
        raise DarkroomError(
            f"{table.attrs['file']}: split {unknown[0]!r} is none; legal are {', '.join(splits)}"
        )
    joined = files.merge(table, on="path", how="outer", suffixes=("", " told"))
    for column in TOLD:
        told = joined.pop(f"{column} told").fillna("")
        told = (
            told.str.lower().map(lambda name: splits.get(name, "")) if column == "split" else told
        )
        joined[column] = told.where(told != "", joined[column].fillna(""))
    return joined


def _read_csv(file: Path) -> pd.DataFrame:
    """Return a CSV as text: a label 01 is not the number 1, and a class may be called NA."""
    import pandas as pd

    # The names are read as a row like others: pandas would take fields without a name for an
    # index, and shift the rest, and would give the second of two equal names another.
    table = pd.read_csv(
        file, header=None, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig"
    )
    table.columns = pd.Index(table.iloc[0].fillna("").str.strip())
    table = table.iloc[1:].reset_index(drop=True)
    # Spreadsheets leave empty columns behind.
    return table.loc[:, (table.columns != "") | table.notna().any().to_numpy()]


def _check_columns(file: Path, columns: list[str]) -> None:
    if "path" not in columns:
        raise DarkroomError(
            f"{file}: has no column `path`, only {', '.join(columns[:8])}; name the column of file "
            "names `path`"
        )
    if "" in columns:
        raise DarkroomError(f"{file}: has a column without a name; name or remove it")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise DarkroomError(f"{file}: has two columns {twice[0]!r}; rename or remove one")
    taken = [column for column in columns if column in COLUMNS and column not in ("path", *TOLD)]
    if taken:
        raise DarkroomError(
            f"{file}: column `{taken[0]}` has a name that the manifest uses itself; rename it"
        )


def _clean_path(file: Path, path: str) -> str:
    """Return a path with `/` and without `./`; refuse one that leads out of the folder."""
    clean = posixpath.normpath(path.replace("\\", "/")) if path else ""
    if not clean or clean.startswith(("/", "../")) or clean == "..":
        raise DarkroomError(
            f"{file}: path {path!r} is not inside the folder; write paths relative to {file.parent}"
        )
    return clean

"""splits.parquet: which image is in which split, and why; written by preprocess."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.files.schema import Schema
from components.common.files.tables import read_table, write_parquet
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = Schema("splits", stage="preprocess")
COLUMNS = (
    "path",  # relative to the folder of images, with `/`
    "sha256",  # of the file's bytes, hex
    "label",  # class name
    "split",  # train, val or test; missing: left out
    "group_id",  # images that share it stay together: a named group, or near-duplicates
    "why",  # what decided it, in words
)
# By them a later run knows an image again whose file was rewritten. Splits of earlier versions have
# none, and where images were is good to know without.
LOOKS = ("luma_sha256", "phash")
BATCH = "batch"  # images of a split that came together share shards: 0, 1, 2 … in order of arrival
FRACTIONS = "fractions"  # attribute of the table: the shares of val and test it was drawn with


def read_splits(
    file: Path,
    columns: Sequence[str] = COLUMNS,
    *,
    others: bool = False,
    laid: Sequence[str] = (),
) -> pd.DataFrame:
    """Read columns of splits.parquet.

    Args:
        file: of preprocess.
        columns: those that it must have.
        others: read the other columns as well.
        laid: columns that are wanted alone, as far as they are there; their texts lie on disk.

    Raises:
        DarkroomError: if it is missing, damaged, or lacks a column.
    """
    what, stage = "table of splits", "preprocess"
    return read_table(file, what, columns, stage, others=others, schema=SCHEMA, laid=laid)


def write_splits(file: Path, splits: pd.DataFrame) -> None:
    """Write splits.parquet, whole or not at all; what it replaces was read before."""
    with writing(file, damaged=True) as temporary:
        write_parquet(temporary, splits, SCHEMA)

"""groups.parquet: which images of the shards stay together; preprocess writes it, train reads it.

Copies, near-duplicates and images of one named group are no independent witnesses: whoever judges
an image must not have learnt from another of its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.files.schema import Schema
from components.common.files.tables import mark_table, read_table
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = Schema("groups", stage="preprocess")
FILE = "groups.parquet"  # in the folder of shards
COLUMNS = ["path", "group_id"]


def write_groups(folder: Path, splits: pd.DataFrame) -> None:
    """Write groups.parquet: the images in use that share their group with another one.

    Args:
        folder: of the shards.
        splits: the table of splits.parquet.
    """
    import pyarrow
    from pyarrow import parquet

    used = splits.loc[splits["split"].notna(), COLUMNS]
    shared = used[used["group_id"].duplicated(keep=False)]
    # Without pandas' own metadata: the same groups then give the same bytes, whoever writes them.
    columns = [pyarrow.array(shared[name].tolist(), pyarrow.string()) for name in COLUMNS]
    with writing(folder / FILE) as temporary:
        parquet.write_table(mark_table(pyarrow.table(columns, COLUMNS), SCHEMA), temporary)


def read_groups(folder: Path, paths: Sequence[str], sha256: Sequence[str]) -> list[str]:
    """Return the name of each image's group; one that is in none is a group of its own.

    Shards of earlier versions say nothing of groups: there equal bytes make one.

    Args:
        folder: of the shards.
        paths: of the images.
        sha256: of their files' bytes.
    """
    file = folder / FILE
    known: dict[str, str] = {}
    if file.exists():
        table = read_table(file, "table of groups", COLUMNS, "preprocess", schema=SCHEMA)
        known = dict(zip(table["path"], table["group_id"], strict=True))
    return [known.get(path, digest) for path, digest in zip(paths, sha256, strict=True)]

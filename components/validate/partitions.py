"""Validate in three steps, for a cluster: list the files, look at a partition of them, judge all.

What is found in a file depends on the file alone, so it does not matter who looks at it: the three
steps write the same manifest as `run` does on one machine. A partition is a stretch of the files in
the order of their paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.common.files.writing import writing
from components.common.terminal import Stopwatch, say
from components.validate.layouts.layout import read_layout
from components.validate.run import run, scan_images
from components.validate.spec import Inputs, Outputs, Params

LEAST = 500  # files of a partition: to look at them takes as long as a pod takes to start
GROUP = 5_000  # rows of a row group of the files' table


def plan(images: Path, files: Path, params: Params, most: int) -> int:
    """Write the paths of the files that are to be looked at; return how many partitions there are.

    Args:
        images: folder of images, or a listing of some.
        files: Parquet file to write.
        params: settings.
        most: partitions that are wanted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = list(read_layout(images, params).files["path"])
    with writing(files) as temporary:
        pq.write_table(pa.table({"path": pa.array(paths)}), temporary, row_group_size=GROUP)
    parts = max(1, min(most, len(paths) // LEAST))
    say(f"{len(paths):,} files in {parts} partitions")
    return parts


def check_partition(
    *, images: Path, files: Path, found: Path, params: Params, part: int, parts: int
) -> None:
    """Look at the files of one partition, and write a row for each.

    Args:
        images: folder of images, or a listing of some.
        files: the file of :func:`plan`.
        found: Parquet file to write.
        params: settings.
        part: number of the partition, from 0.
        parts: number of partitions.
    """
    watch = Stopwatch()
    paths = _read_paths(files, part, parts)
    rows = scan_images(images, paths, params)
    rows.insert(0, "path", paths)
    with writing(found) as temporary:
        rows.to_parquet(temporary, index=False)
    size = rows["bytes"].sum() / 1e6
    say(f"partition {part + 1} of {parts}: {len(rows):,} files, {size:,.0f} MB ({watch})")


def judge(found: Sequence[Path], inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write what `run` writes, from what :func:`check_partition` found.

    Args:
        found: files of all partitions, in any order.
        inputs: the images.
        outputs: what is written.
        params: settings.

    Raises:
        DarkroomError: as `run` does, and if other files were looked at than are there.
    """
    import pandas as pd

    rows = pd.concat([pd.read_parquet(file) for file in found], ignore_index=True)
    run(inputs, outputs, params, rows.sort_values("path", ignore_index=True))


def _read_paths(files: Path, part: int, parts: int) -> list[str]:
    """Return the paths of a partition; the row groups of the others are not read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(files) as table:
        count = table.metadata.num_rows
        first, last = part * count // parts, (part + 1) * count // parts
        groups = range(first // GROUP, -(-last // GROUP))
        if not groups:
            return []
        paths: list[str] = table.read_row_groups(list(groups))["path"].to_pylist()
    return paths[first - first // GROUP * GROUP :][: last - first]

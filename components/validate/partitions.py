"""Validate in three steps, for a cluster: list the files, look at a partition of them, judge all.

What is found in a file depends on the file alone, so it does not matter who looks at it, or when:
the three steps write the same manifest as `run` does on one machine. A partition is a stretch of
the files in the order of their paths, without those of which an earlier run has left a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from components.common.files.laid import LaidTable, laying_in, reorder
from components.common.files.writing import writing
from components.common.terminal import Stopwatch, say
from components.validate.copies.compared import Compared, compute_pairs_recipe
from components.validate.copies.sketchbook import Sketchbook
from components.validate.layouts.layout import read_layout
from components.validate.run import Scanned, find_limits, find_rules, run
from components.validate.scan.memory import compute_recipe, recall, write_lasting
from components.validate.scan.scan import create_schema, read_rows, scan_files
from components.validate.spec import Inputs, Outputs, Params

LEAST = 500  # files of a partition: to look at them takes as long as a pod takes to start
GROUP = 5_000  # rows of a row group of the files' table
PATHS, KNOWN = "paths.parquet", "known.parquet"  # what :func:`plan` writes


def plan(
    images: Path,
    files: Path,
    params: Params,
    most: int,
    *,
    listing: Path | None = None,
    tables: Sequence[Path] = (),
) -> int:
    """Write the paths of the files that are to be looked at; return how many partitions there are.

    Args:
        images: folder of images, or a listing of some.
        files: folder to write into: PATHS, and KNOWN, the rows of all others.
        params: settings.
        most: partitions that are wanted.
        listing: tells the contents of the images, where that is known.
        tables: what was found before, by :func:`check_partition`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = read_layout(images, params).files["path"]
    files.mkdir(exist_ok=True)
    known = recall(tables, listing, list(paths), files / KNOWN) if listing and tables else set()
    left = paths[~paths.isin(known)] if known else paths
    with writing(files / PATHS) as temporary:
        table = pa.table({"path": pa.array(left, pa.string())})
        pq.write_table(table, temporary, row_group_size=GROUP)
    parts = max(1, min(most, len(left) // LEAST))
    seen = f", {len(known):,} of them looked at before" if known else ""
    say(f"{len(paths):,} files{seen}: {len(left):,} in {parts} partitions")
    return parts


def check_partition(
    *,
    images: Path,
    files: Path,
    found: Path,
    params: Params,
    part: int,
    parts: int,
    listing: Path | None = None,
    lasting: Path | None = None,
) -> int:
    """Look at the files of one partition, and write a row for each.

    Args:
        images: folder of images, or a listing of some.
        files: the folder of :func:`plan`.
        found: Parquet file to write.
        params: settings.
        part: number of the partition, from 0.
        parts: number of partitions.
        listing: tells the contents of the images.
        lasting: Parquet file to write: what later runs need not look for again.

    Returns:
        The number of rows in `lasting`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    watch = Stopwatch()
    paths = _read_paths(files / PATHS, part, parts)
    rows = scan_files(images, paths, **find_rules(params), limits=find_limits(params))
    rows.insert(0, "path", paths)
    schema = create_schema().insert(0, pa.field("path", pa.string()))
    table = pa.Table.from_pandas(rows, schema, preserve_index=False)
    with writing(found) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary, row_group_size=GROUP)
    size = rows["bytes"].sum() / 1e6
    say(f"partition {part + 1} of {parts}: {len(rows):,} files, {size:,.0f} MB ({watch})")
    return write_lasting(rows, listing, lasting) if listing and lasting else 0


def list_recipes(params: Params) -> tuple[str, str]:
    """Return digests of all but bytes that decides what is found in files, and in pairs of them."""
    return compute_recipe(asdict(find_limits(params)) | find_rules(params)), compute_pairs_recipe()


def judge(
    found: Sequence[Path],
    files: Path,
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    *,
    tables: Sequence[Path] = (),
    lasting: Path | None = None,
) -> int:
    """Write what `run` writes, from what :func:`check_partition` found.

    Args:
        found: files of all partitions, in any order.
        files: the folder of :func:`plan`.
        inputs: the images.
        outputs: what is written.
        params: settings.
        tables: which pictures were compared before, by this function.
        lasting: Parquet file to write: which were compared now.

    Returns:
        The number of rows in `lasting`.

    Raises:
        DarkroomError: as `run` does, and if other files were looked at than are there.
    """
    known = [files / KNOWN] if (files / KNOWN).is_file() else []
    with laying_in(outputs.manifest.parent):
        scanned = _put_together([*found, *known], outputs.manifest.parent)
        compared = Compared.read(tables)
        run(inputs, outputs, params, scanned, compared)
    return compared.write(lasting) if lasting else 0


def _put_together(tables: Sequence[Path], place: Path) -> Scanned:
    """Return what was found in all partitions, in the order of the paths, bit by bit."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    schema = create_schema().insert(0, pa.field("path", pa.string()))
    told = pa.schema([field for field in schema if field.name != "sketch"])
    seen = LaidTable(told)
    for file in tables:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(GROUP, columns=told.names):
                seen.write(pa.Table.from_batches([batch]))
    rows = seen.read()
    order = pc.sort_indices(rows["path"]).to_numpy()
    pages = np.empty(len(rows), np.int64)
    pages[order] = np.arange(len(rows))
    book, row = Sketchbook(len(rows), place), 0
    for file in tables:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(GROUP, columns=["sketch"]):
                for sketch in batch["sketch"].to_pylist():
                    book.put(int(pages[row]), [sketch])
                    row += 1
    return Scanned(read_rows(reorder(rows, order)), book)


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

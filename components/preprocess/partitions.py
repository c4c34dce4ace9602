"""Preprocess in three steps, for a cluster: plan, write a partition of the shards, collect them.

A shard is a pure function of its rows, so it does not matter who writes it: the three steps write
the same bytes as `run` does on one machine. Partition i of n writes the shards i, i + n, i + 2n, …
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from components.common.artifacts.dataset import Shard, write_dataset
from components.common.artifacts.groups import write_groups
from components.common.artifacts.splits import read_splits, write_splits
from components.common.errors import DarkroomError
from components.common.files.writing import (
    compute_sha256,
    read_json,
    write_json,
    writing,
    writing_folder,
)
from components.common.images.pixels import ImageForm
from components.common.settings.params import list_settings
from components.common.terminal import Stopwatch, say
from components.preprocess.contents import (
    create_dataset,
    create_form,
    draw_splits,
    list_classes,
    plan_splits,
    read_usable,
)
from components.preprocess.shards.records import Row
from components.preprocess.shards.shards import ShardPlan, write_shards
from components.preprocess.spec import Params

WRITTEN = "written.json"  # of a partition; the last file it writes, so it marks it ready
NOTE = b"darkroom.shards"  # key of a plan's metadata: the form, and a word on each shard


def plan(manifest: Path, splits: Path, planned: Path, params: Params, most: int) -> int:
    """Write splits.parquet and the plan of the shards; return how many partitions there are.

    Args:
        manifest: the file of validate.
        splits: the file to write.
        planned: Parquet file to write: a row group a shard, so that who writes one reads no other.
        params: settings.
        most: partitions that are wanted; there is at most one a shard.
    """
    usable = read_usable(manifest)
    table = draw_splits(usable, params)
    write_splits(splits, table)
    form = create_form(usable, params)
    plans = plan_splits(table, list_classes(table), form, params.shard_mb)
    write_plans(planned, plans, form)
    say(f"{len(plans)} shards in {min(most, len(plans))} partitions")
    return min(most, len(plans))


def write_partition(*, images: Path, planned: Path, folder: Path, part: int, parts: int) -> None:
    """Write the shards of one partition into a folder of their own.

    Args:
        images: folder of images, or a listing of some.
        planned: the file of :func:`plan`.
        folder: to be written.
        part: number of the partition, from 0.
        parts: number of partitions.
    """
    watch = Stopwatch()
    own, form = read_plans(planned, part, parts)
    with writing_folder(folder, "preprocess", damaged=True) as temporary:
        shards = write_shards(own, images, form, temporary)
        write_json(temporary / WRITTEN, [asdict(shards[one.file]) for one in own])
    count = sum(len(one.rows) for one in own)
    say(f"partition {part + 1} of {parts}: {len(own)} shards, {count:,} images ({watch})")


def write_plans(file: Path, plans: Sequence[ShardPlan], form: ImageForm) -> None:
    """Write the plan of all shards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = [{"split": one.split, "file": one.file, "recipe": one.recipe} for one in plans]
    note = {"form": asdict(form), "shards": told}
    kinds = [("path", pa.string()), ("label", pa.int64()), ("sha256", pa.string())]
    schema = pa.schema(kinds, metadata={NOTE: json.dumps(note)})
    with writing(file) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for one in plans:
            rows = [asdict(row) for row in one.rows]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema), row_group_size=len(rows))


def read_plans(file: Path, part: int, parts: int) -> tuple[list[ShardPlan], ImageForm]:
    """Return the shards of one partition, and the form of their pixels."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        note = json.loads(table.schema_arrow.metadata[NOTE])
        own = [
            ShardPlan(
                **one, rows=tuple(Row(**row) for row in table.read_row_group(number).to_pylist())
            )
            for number, one in list(enumerate(note["shards"]))[part::parts]
        ]
    return own, ImageForm(**note["form"])


def collect(
    partitions: Iterable[Path], manifest: Path, splits: Path, shards: Path, params: Params
) -> None:
    """Bring the shards of all partitions into one folder; dataset.json comes last.

    Raises:
        DarkroomError: if a shard is missing, or its bytes are not those that were written.
    """
    whole = _read_plan(manifest, splits, params)
    plans = whole.shards
    found: dict[str, tuple[Shard, Path]] = {}
    for folder in partitions:
        for entry in read_json(folder / WRITTEN):
            found[entry["file"]] = (Shard(**entry), folder)
    missing = [one.file for one in plans if one.file not in found]
    if missing:
        raise DarkroomError(
            f"{len(missing)} of {len(plans)} shards were not written, {missing[0]} is the first; "
            "run the whole pipeline again"
        )
    with writing_folder(shards, "preprocess", damaged=True) as temporary:
        for shard, folder in found.values():
            bring(folder / shard.file, temporary / shard.file, shard.sha256)
        dataset = create_dataset(
            splits=whole.table,
            class_names=whole.class_names,
            form=whole.form,
            plans=plans,
            shards={file: shard for file, (shard, _) in found.items()},
            manifest=manifest,
            splits_file=splits,
            params=list_settings("preprocess", params),
        )
        write_groups(temporary, whole.table)
        write_dataset(temporary, dataset)
    say(f"{len(plans)} shards collected")


def bring(source: Path, target: Path, sha256: str) -> None:
    """Put a shard into its place: linked on one volume, else copied and its digest checked."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        if compute_sha256(target) != sha256:
            raise DarkroomError(
                f"{source}: damaged on its way, its digest has changed; run the task again"
            ) from None


@dataclass(frozen=True)
class _Plan:
    """All that manifest, splits and settings decide together."""

    table: pd.DataFrame
    class_names: list[str]
    form: ImageForm
    shards: list[ShardPlan]


def _read_plan(manifest: Path, splits: Path, params: Params) -> _Plan:
    table = read_splits(splits)
    class_names = list_classes(table)
    form = create_form(read_usable(manifest), params)
    return _Plan(table, class_names, form, plan_splits(table, class_names, form, params.shard_mb))

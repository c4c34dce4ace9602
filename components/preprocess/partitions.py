"""Preprocess in three steps, for a cluster: plan, write a partition of the shards, collect them.

A shard is a pure function of its rows, so it does not matter who writes it: the three steps write
the same bytes as `run` does on one machine. Partition i of n writes the shards i, i + n, i + 2n, …
of the plan, and takes over those that an earlier run has left.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from components.common.artifacts.dataset import Shard, read_dataset, write_dataset
from components.common.artifacts.groups import write_groups
from components.common.artifacts.splits import BATCH, COLUMNS, read_splits, write_splits
from components.common.errors import DarkroomError
from components.common.files.laid import laying_in
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
from components.preprocess.shards.plans import ShardPlan, Stored
from components.preprocess.shards.records import Row
from components.preprocess.shards.shards import find_known, write_shards
from components.preprocess.shards.stored import list_stored, pick_stored
from components.preprocess.spec import Params
from components.preprocess.splits.history import read_earlier

WRITTEN = "written.json"  # of a partition; the last file it writes, so it marks it ready
NOTE = b"darkroom.shards"  # key of a plan's metadata: the form, and a word on each shard


def plan(
    manifest: Path,
    splits: Path,
    planned: Path,
    params: Params,
    most: int,
    *,
    earlier_splits: Path | None = None,
    earlier_shards: Path | None = None,
) -> int:
    """Write splits.parquet and the plan of the shards; return how many partitions there are.

    Args:
        manifest: the file of validate.
        splits: the file to write.
        planned: Parquet file to write: a row group a shard, so that who writes one reads no other.
        params: settings.
        most: partitions that are wanted; there is at most one a shard that is to be written.
        earlier_splits: of an earlier run, whose images stay where they are; None: not known.
        earlier_shards: folder of its shards, of which those of the same recipe are taken over.
    """
    with laying_in(splits.parent):
        earlier = {"earlier_splits": earlier_splits, "earlier_shards": earlier_shards}
        return _plan(manifest, splits, planned, params, most, **earlier)


def _plan(
    manifest: Path,
    splits: Path,
    planned: Path,
    params: Params,
    most: int,
    *,
    earlier_splits: Path | None,
    earlier_shards: Path | None,
) -> int:
    usable = read_usable(manifest)
    table = draw_splits(usable, params, _read_earlier(earlier_splits, params))
    write_splits(splits, table)
    form = create_form(usable, params)
    plans = plan_splits(table, list_classes(table), form, params.shard_mb)
    known = find_known(earlier_shards, plans)
    # Those that are to be written come first, so that each partition has its share of them.
    plans.sort(key=lambda one: one.file in known)
    fresh = len(plans) - len(known)
    if fresh:
        wanted = {row.sha256 for one in plans[:fresh] for row in one.rows}
        stored = _find_stored(earlier_splits, earlier_shards, form, wanted)
        plans[:fresh] = [replace(one, stored=pick_stored(stored, one)) for one in plans[:fresh]]
    write_plans(planned, plans, form, earlier_shards)
    parts = max(1, min(most, fresh))
    say(f"{len(plans)} shards, {len(known)} of them there already, in {parts} partitions")
    return parts


def _read_earlier(file: Path | None, params: Params) -> pd.DataFrame | None:
    """Return earlier splits; None where they cannot be read: then all are drawn as if new."""
    if file is None:
        return None
    try:
        return read_earlier(file, redraw=params.redraw)
    except DarkroomError as error:
        say(f"warning: {str(error).partition('. It tells')[0]}; drawn as if there were none")
        return None


def _find_stored(
    splits: Path | None, shards: Path | None, form: ImageForm, wanted: Container[str]
) -> Stored:
    """Return where the pixels of images are, by sha256, in the shards of an earlier run."""
    if not splits or not shards:
        return {}
    try:
        dataset = read_dataset(shards)
        table = read_splits(splits, (*COLUMNS, BATCH), laid=(*COLUMNS, BATCH))
        shard_mb = dataset.params.get("preprocess.shard_mb")
        if not isinstance(shard_mb, int) or shard_mb < 1:
            return {}
        plans = plan_splits(table, dataset.class_names, form, shard_mb)
    except (DarkroomError, OSError, KeyError):
        return {}
    held = (shard for split in dataset.splits.values() for shard in split.shards)
    return list_stored(plans, {shard.recipe: shard.file for shard in held}, wanted)


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
    own, form, earlier = read_plans(planned, part, parts)
    with writing_folder(folder, "preprocess", damaged=True) as temporary:
        shards = _bring_known(own, earlier, temporary)
        fresh = [one for one in own if one.file not in shards]
        shards |= write_shards(fresh, images, form, temporary, earlier)
        write_json(temporary / WRITTEN, [asdict(shards[one.file]) for one in own])
    count = sum(len(one.rows) for one in fresh)
    say(
        f"partition {part + 1} of {parts}: {len(own)} shards, {len(fresh)} of them written, "
        f"{count:,} images ({watch})"
    )


def _bring_known(own: Sequence[ShardPlan], earlier: Path | None, folder: Path) -> dict[str, Shard]:
    """Take over the shards of an earlier run as far as they are there; return file → shard."""
    taken = {}
    for file, old in find_known(earlier, own).items():
        try:
            bring(Path(earlier or "") / old.file, folder / file, old.sha256)
        except (OSError, DarkroomError):  # gone meanwhile, or damaged: written anew
            (folder / file).unlink(missing_ok=True)
            continue
        taken[file] = replace(old, file=file)
    return taken


def write_plans(
    file: Path, plans: Sequence[ShardPlan], form: ImageForm, earlier: Path | None
) -> None:
    """Write the plan of all shards, and where earlier ones are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Of few images a shard may be without any, and no row group is: those come last.
    ordered = sorted(plans, key=lambda one: not one.rows)
    told = [{"split": one.split, "file": one.file, "recipe": one.recipe} for one in ordered]
    note = {"form": asdict(form), "shards": told, "earlier": str(earlier or "")}
    kinds = [("path", pa.string()), ("label", pa.int64()), ("sha256", pa.string())]
    kinds += [("stored_in", pa.string()), ("stored_at", pa.int64())]
    schema = pa.schema(kinds, metadata={NOTE: json.dumps(note)})
    with writing(file) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for one in (one for one in ordered if one.rows):
            rows = []
            for row in one.rows:
                shard, number = one.stored.get(row.sha256, (None, None))
                rows.append(asdict(row) | {"stored_in": shard, "stored_at": number})
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema), row_group_size=len(rows))


def read_plans(file: Path, part: int, parts: int) -> tuple[list[ShardPlan], ImageForm, Path | None]:
    """Return the shards of one partition, the form of their pixels, and where earlier ones are."""
    import pyarrow.parquet as pq

    own = []
    with pq.ParquetFile(file) as table:
        note = json.loads(table.schema_arrow.metadata[NOTE])
        for number, told in list(enumerate(note["shards"]))[part::parts]:
            rows, stored = [], {}
            is_empty = number >= table.num_row_groups
            for row in () if is_empty else table.read_row_group(number).to_pylist():
                place = row.pop("stored_in"), row.pop("stored_at")
                rows.append(Row(**row))
                if place[0] is not None:
                    stored[row["sha256"]] = place
            own.append(ShardPlan(**told, rows=tuple(rows), stored=stored))
    earlier = Path(note["earlier"]) if note["earlier"] else None
    return own, ImageForm(**note["form"]), earlier


def collect(
    partitions: Iterable[Path], manifest: Path, splits: Path, shards: Path, params: Params
) -> None:
    """Bring the shards of all partitions into one folder; dataset.json comes last.

    Raises:
        DarkroomError: if a shard is missing, or its bytes are not those that were written.
    """
    with laying_in(shards.parent):
        _collect(partitions, manifest, splits, shards, params)


def _collect(
    partitions: Iterable[Path], manifest: Path, splits: Path, shards: Path, params: Params
) -> None:
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
class _Whole:
    """All that manifest, splits and settings decide together."""

    table: pd.DataFrame
    class_names: list[str]
    form: ImageForm
    shards: list[ShardPlan]


def _read_plan(manifest: Path, splits: Path, params: Params) -> _Whole:
    table = read_splits(splits, (*COLUMNS, BATCH), laid=(*COLUMNS, BATCH))
    class_names = list_classes(table)
    form = create_form(read_usable(manifest), params)
    return _Whole(table, class_names, form, plan_splits(table, class_names, form, params.shard_mb))

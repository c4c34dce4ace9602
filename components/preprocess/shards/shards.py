"""Write the images of a split as TFRecord shards, each a pure function of its rows.

Shard i of n holds the images whose sha256 begins with the bits of i, in the order of sha256. So
classes are mixed, one changed image touches the shard it leaves and the one it enters, and the
order of a split does not depend on the number of its shards. n is a power of two: it changes only
when a split doubles.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from components.common.artifacts.dataset import Shard, read_dataset
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256, writing
from components.common.host import can_share_work, count_cores, end_with_parent
from components.common.images.listing import Images, open_images
from components.common.images.pixels import ImageForm
from components.common.terminal import bar
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row, read_record

OVERHEAD_BYTES = 256  # of a record: path, digest, label, framing
FEW = 64  # images that one process writes before others have started


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is wanted."""

    split: str  # train, val or test
    file: str  # name in the folder of shards
    rows: tuple[Row, ...]  # in order
    recipe: str  # see compute_recipe


def plan_shards(split: str, rows: Iterable[Row], form: ImageForm, shard_mb: int) -> list[ShardPlan]:
    """Return the shards of a split.

    Args:
        split: train, val or test; their files are named for it.
        rows: the images of the split, in any order.
        form: form of their pixels.
        shard_mb: size that a shard has at most on average, MB (10⁶ bytes).
    """
    ordered = sorted(rows, key=lambda row: (row.sha256, row.path))
    record_bytes = form.size_px**2 * 3 + OVERHEAD_BYTES
    wanted = len(ordered) * record_bytes / (shard_mb * 1e6)
    bits = 0
    while 2**bits < wanted:
        bits += 1
    buckets: list[list[Row]] = [[] for _ in range(2**bits)]
    for row in ordered:
        buckets[int(row.sha256[:8], 16) >> (32 - bits)].append(row)
    return [
        ShardPlan(
            split,
            f"{split}-{i:05d}-of-{len(buckets):05d}.tfrecord",
            tuple(bucket),
            compute_recipe(bucket, form),
        )
        for i, bucket in enumerate(buckets)
    ]


def find_intact(folder: Path, plans: Sequence[ShardPlan]) -> dict[str, Shard]:
    """Return the shards of an earlier run that need not be written again.

    Args:
        folder: what the earlier run wrote; it may be missing or damaged.
        plans: the shards that are wanted now.

    Returns:
        Planned file name → the old shard of the same recipe, whose file still has its digest.
    """
    try:
        splits = read_dataset(folder).splits.values()
    except (DarkroomError, OSError):
        return {}
    old = {shard.recipe: shard for split in splits for shard in split.shards}
    return {
        plan.file: old[plan.recipe]
        for plan in plans
        if plan.recipe in old and _is_intact(folder, old[plan.recipe])
    }


def take_over(intact: Mapping[str, Shard], source: Path, folder: Path) -> dict[str, Shard]:
    """Put the shards of :func:`find_intact` under their present names, linked where possible."""
    for file, old in intact.items():
        try:
            os.link(source / old.file, folder / file)
        except OSError:
            shutil.copyfile(source / old.file, folder / file)
    return {file: replace(old, file=file) for file, old in intact.items()}


def write_shards(
    plans: Sequence[ShardPlan], images: Path, form: ImageForm, folder: Path
) -> dict[str, Shard]:
    """Write shards on all cores; return file name → what was written.

    Args:
        plans: the shards.
        images: folder of images, or a listing of some.
        form: form of their pixels.
        folder: existing folder for the shards.
    """
    total = sum(len(plan.rows) for plan in plans)
    paths = [row.path for plan in plans for row in plan.rows]
    source = open_images(images, paths)
    # Who brings its images waits for the network half of the time, and for no core.
    workers = min(count_cores() * (2 if source.source else 1), len(plans))
    written: dict[str, Shard] = {}
    with bar("writing", "images", total) as progress:
        if workers < 2 or total < FEW or not can_share_work():
            shards = _write_here(plans, source, form, folder)
        else:
            shards = _write_parallel(plans, source, form, folder, workers)
        for shard in shards:
            written[shard.file] = shard
            progress.update(shard.examples)
    return written


def write_shard(rows: Sequence[Row], images: Path, form: ImageForm, target: Path) -> Shard:
    """Write one shard; its bytes depend on the rows, their images and the form alone.

    Args:
        rows: images in order.
        images: folder that their paths are in.
        form: form of their pixels.
        target: the TFRecord file.

    Raises:
        DarkroomError: if an image is missing, is not what the manifest says, or cannot be decoded.
    """
    digest = hashlib.sha256()
    with writing(target) as temporary, temporary.open("wb") as stream:
        for row in rows:
            record = read_record(images, row, form)
            digest.update(record)
            stream.write(record)
    return Shard(target.name, len(rows), digest.hexdigest(), compute_recipe(rows, form))


def _bring_and_write(rows: Sequence[Row], images: Images, form: ImageForm, target: Path) -> Shard:
    with images.bringing() as folder:
        return write_shard(rows, folder, form, target)


def _write_here(
    plans: Sequence[ShardPlan], images: Images, form: ImageForm, folder: Path
) -> Iterator[Shard]:
    for plan in plans:
        own = images.pick(row.path for row in plan.rows)
        yield _bring_and_write(plan.rows, own, form, folder / plan.file)


def _write_parallel(
    plans: Sequence[ShardPlan], images: Images, form: ImageForm, folder: Path, workers: int
) -> Iterator[Shard]:
    with ProcessPoolExecutor(workers, initializer=end_with_parent, initargs=(os.getpid(),)) as pool:
        # The longest first, so that no core ends alone with a long one.
        jobs = [
            pool.submit(
                _bring_and_write,
                plan.rows,
                images.pick(row.path for row in plan.rows),
                form,
                folder / plan.file,
            )
            for plan in sorted(plans, key=lambda plan: -len(plan.rows))
        ]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool:
            raise DarkroomError(
                "a process that wrote shards was killed, most likely for want of memory; "
                "free some and run preprocess again"
            ) from None
        finally:  # after an error no further shard is begun
            pool.shutdown(cancel_futures=True)


def _is_intact(folder: Path, shard: Shard) -> bool:
    file = folder / shard.file
    return file.is_file() and compute_sha256(file) == shard.sha256

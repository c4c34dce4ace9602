"""Write the images of a split as TFRecord shards, each a pure function of its rows."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

from components.common.artifacts.dataset import (
    LABEL,
    PATH,
    PIXELS,
    SHA256,
    Shard,
    read_dataset,
)
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256, writing
from components.common.host import can_share_work, count_cores, end_with_parent
from components.common.images.listing import Images, open_images
from components.common.images.pixels import ImageForm
from components.common.shards.tfrecord import create_record
from components.common.terminal import bar
from components.preprocess.shards.plans import ShardPlan
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row, read_record
from components.preprocess.shards.stored import read_stored

FEW = 64  # images that one process writes before others have started


def find_intact(folder: Path, plans: Sequence[ShardPlan]) -> dict[str, Shard]:
    """Return the shards of an earlier run that need not be written again.

    Args:
        folder: what the earlier run wrote; it may be missing or damaged.
        plans: the shards that are wanted now.

    Returns:
        Planned file name → the old shard of the same recipe, whose file still has its digest.
    """
    known = find_known(folder, plans)
    return {file: old for file, old in known.items() if _is_intact(folder, old)}


def find_known(folder: Path | None, plans: Sequence[ShardPlan]) -> dict[str, Shard]:
    """Return the shards of an earlier run that have the recipe of one that is wanted now.

    Args:
        folder: what the earlier run wrote; it may be missing or damaged; None: there is none.
        plans: the shards that are wanted now.
    """
    try:
        splits = read_dataset(folder).splits.values() if folder else ()
    except (DarkroomError, OSError):
        return {}
    old = {shard.recipe: shard for split in splits for shard in split.shards}
    return {plan.file: old[plan.recipe] for plan in plans if plan.recipe in old}


def take_over(intact: Mapping[str, Shard], source: Path, folder: Path) -> dict[str, Shard]:
    """Put the shards of :func:`find_intact` under their present names, linked where possible."""
    for file, old in intact.items():
        try:
            os.link(source / old.file, folder / file)
        except OSError:
            shutil.copyfile(source / old.file, folder / file)
    return {file: replace(old, file=file) for file, old in intact.items()}


def write_shards(
    plans: Sequence[ShardPlan],
    images: Path,
    form: ImageForm,
    folder: Path,
    earlier: Path | None = None,
) -> dict[str, Shard]:
    """Write shards on all cores; return file name → what was written.

    Args:
        plans: the shards.
        images: folder of images, or a listing of some.
        form: form of their pixels.
        folder: existing folder for the shards.
        earlier: folder of the shards that have the `stored` pixels of the plans.
    """
    total = sum(len(plan.rows) for plan in plans)
    # Of a folder nothing is asked before; of a listing, where each image is.
    paths = [row.path for plan in plans for row in plan.rows] if images.is_file() else []
    source = open_images(images, paths)
    # Who brings its images waits for the network half of the time, and for no core.
    workers = min(count_cores() * (2 if source.source else 1), len(plans))
    written: dict[str, Shard] = {}
    with bar("writing", "images", total) as progress:
        write = partial(_bring_and_write, form=form, folder=folder, earlier=earlier)
        shards: Iterator[Shard]
        if workers < 2 or total < FEW or not can_share_work():
            shards = (write(plan, _pick(source, plan)) for plan in plans)
        else:
            shards = _write_parallel(write, plans, source, workers)
        for shard in shards:
            written[shard.file] = shard
            progress.update(shard.examples)
    return written


def write_shard(
    rows: Sequence[Row],
    images: Path,
    form: ImageForm,
    target: Path,
    stored: Mapping[str, bytes] | None = None,
) -> Shard:
    """Write one shard; its bytes depend on the rows, their images and the form alone.

    Args:
        rows: images in order.
        images: folder that their paths are in.
        form: form of their pixels.
        target: the TFRecord file.
        stored: pixels of images that need not be read, by their sha256.

    Raises:
        DarkroomError: if an image is missing, is not what the manifest says, or cannot be decoded.
    """
    digest, known = hashlib.sha256(), stored or {}
    with writing(target) as temporary, temporary.open("wb") as stream:
        for row in rows:
            pixels = known.get(row.sha256)
            record = _repeat(row, pixels) if pixels else read_record(images, row, form)
            digest.update(record)
            stream.write(record)
    return Shard(target.name, len(rows), digest.hexdigest(), compute_recipe(rows, form))


def _repeat(row: Row, pixels: bytes) -> bytes:
    """Return what `read_record` returned when it read the image."""
    path, sha256 = row.path.encode(), row.sha256.encode()
    return create_record({PIXELS: pixels, LABEL: row.label, PATH: path, SHA256: sha256})


def _pick(images: Images, plan: ShardPlan) -> Images:
    if not images.source:
        return images
    return images.pick(row.path for row in plan.rows)


def _bring_and_write(
    plan: ShardPlan, images: Images, form: ImageForm, folder: Path, earlier: Path | None
) -> Shard:
    known = read_stored(earlier, plan.stored, form) if earlier and plan.stored else {}
    left = images
    if images.source:
        left = images.pick(row.path for row in plan.rows if row.sha256 not in known)
    with left.bringing() as place:
        return write_shard(plan.rows, place, form, folder / plan.file, known)


def _write_parallel(
    write: Callable[[ShardPlan, Images], Shard],
    plans: Sequence[ShardPlan],
    images: Images,
    workers: int,
) -> Iterator[Shard]:
    with ProcessPoolExecutor(workers, initializer=end_with_parent, initargs=(os.getpid(),)) as pool:
        # The longest first, so that no core ends alone with a long one.
        jobs = [
            pool.submit(write, plan, _pick(images, plan))
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

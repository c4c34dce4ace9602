"""Which images share a shard.

Images that came together (`arrivals.py`) share shards: shard i of a batch's n holds those whose
sha256 begins with the bits of i, in the order of sha256. So classes are mixed, and one changed
image touches the shard it leaves and the one it enters. n is a power of two: it changes only when
a batch doubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from components.common.images.pixels import ImageForm
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row

OVERHEAD_BYTES = 256  # of a record: path, digest, label, framing

# sha256 of an image → the file of an earlier shard that has its pixels, and its record's number.
Stored = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is wanted."""

    split: str  # train, val or test
    file: str  # name in the folder of shards
    rows: tuple[Row, ...]  # in order
    recipe: str  # see compute_recipe
    stored: Stored = field(default_factory=dict)  # images that need not be read


def count_images(form: ImageForm, shard_mb: int) -> float:
    """Return how many images a shard of so many MB (10⁶ bytes) holds."""
    return shard_mb * 1e6 / (form.size_px**2 * 3 + OVERHEAD_BYTES)


def count_bits(images: int, shard_images: float) -> int:
    """Return into how many shards a batch is cut, as a power of two."""
    bits = 0
    while 2**bits * shard_images < images:
        bits += 1
    return bits


def plan_shards(
    split: str, batches: Iterable[Iterable[Row]], form: ImageForm, shard_mb: int
) -> list[ShardPlan]:
    """Return the shards of a split.

    Args:
        split: train, val or test; their files are named for it.
        batches: the images of the split that came together, in any order.
        form: form of their pixels.
        shard_mb: size that a shard has at most on average, MB (10⁶ bytes).
    """
    shard_images = count_images(form, shard_mb)
    buckets: list[list[Row]] = []
    for batch in batches:
        rows = sorted(batch, key=lambda row: (row.sha256, row.path))
        bits = count_bits(len(rows), shard_images)
        own: list[list[Row]] = [[] for _ in range(2**bits)]
        for row in rows:
            own[int(row.sha256[:8], 16) >> (32 - bits)].append(row)
        buckets += own
    return [
        ShardPlan(
            split,
            f"{split}-{i:05d}-of-{len(buckets):05d}.tfrecord",
            tuple(bucket),
            compute_recipe(bucket, form),
        )
        for i, bucket in enumerate(buckets)
    ]

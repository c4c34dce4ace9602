"""Which images share a shard.

Images that came together (`arrivals.py`) share shards: shard i of a batch's n holds those whose
sha256 begins with the bits of i, in the order of sha256. So classes are mixed, and one changed
image touches the shard it leaves and the one it enters. n is a power of two: it changes only when
a batch doubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from components.common.images.pixels import ImageForm
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row

if TYPE_CHECKING:
    import pyarrow as pa

OVERHEAD_BYTES = 256  # of a record: path, digest, label, framing

# sha256 of an image → the file of an earlier shard that has its pixels, and its record's number.
Stored = Mapping[str, tuple[str, int]]


class Rows(Sequence[Row]):
    """Some images of a table, made into rows when they are looked at: as objects all are 400 bytes.

    To another process it goes as the rows themselves.
    """

    def __init__(self, table: pa.Table, places: np.ndarray) -> None:
        """Choose images.

        Args:
            table: path, label (position in the class names), sha256.
            places: which of its rows, in order.
        """
        self._table, self._places = table, places

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self._places)

    def __iter__(self) -> Iterator[Row]:
        """Yield them in order."""
        yield from self._make(self._places)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        """Return one of them, or some."""
        if isinstance(place, slice):
            return self._make(self._places[place])
        return self._make(self._places[place : place + 1 or None])[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process makes of it: a tuple."""
        return tuple, (list(self),)

    def _make(self, places: np.ndarray) -> list[Row]:
        names = ("path", "label", "sha256")
        columns = (self._table[name].take(places).to_pylist() for name in names)
        return [Row(*one) for one in zip(*columns, strict=True)]


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is wanted."""

    split: str  # train, val or test
    file: str  # name in the folder of shards
    rows: Sequence[Row]  # in order
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
    split: str, batches: Iterable[pa.Table], form: ImageForm, shard_mb: int
) -> list[ShardPlan]:
    """Return the shards of a split.

    Args:
        split: train, val or test; their files are named for it.
        batches: the images of the split that came together, in any order: path, label (position in
            the class names), sha256.
        form: form of their pixels.
        shard_mb: size that a shard has at most on average, MB (10⁶ bytes).
    """
    import pyarrow.compute as pc

    shard_images = count_images(form, shard_mb)
    buckets: list[Rows] = []
    for batch in batches:
        order = pc.sort_indices(
            batch, sort_keys=[("sha256", "ascending"), ("path", "ascending")]
        ).to_numpy()
        bits = count_bits(len(batch), shard_images)
        begins = pc.utf8_slice_codeunits(batch["sha256"], 0, 8).take(order).to_pylist()
        number = np.array([int(text, 16) >> (32 - bits) for text in begins], np.int64)
        ends = np.searchsorted(number, np.arange(2**bits + 1))
        buckets += [
            Rows(batch, order[ends[n] : ends[n + 1]].astype(np.int64)) for n in range(2**bits)
        ]
    return [
        ShardPlan(
            split,
            f"{split}-{i:05d}-of-{len(buckets):05d}.tfrecord",
            bucket,
            compute_recipe(bucket, form),
        )
        for i, bucket in enumerate(buckets)
    ]

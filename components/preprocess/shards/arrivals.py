"""Which images came together: they share shards, so that those who come later rewrite none.

All images of a first run are batch 0 of their split. An image keeps its batch for as long as it is
in its split; new ones join the last batch while that fills no shard, and else begin the next. So
a thousand new photos among a hundred thousand are a few new shards, and at most one a split is
written again because of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import BATCH
from components.common.files.laid import lay_down
from components.preprocess.shards.plans import count_bits
from components.preprocess.splits.history import find_places, find_same

if TYPE_CHECKING:
    import pandas as pd

NEW = -1
# A layout is drawn anew where removed images have left so many times the shards of one batch; one
# that only grows has at most about twice as many.
MOST_SHARDS = 3


def assign_batches(
    splits: pd.DataFrame, earlier: pd.DataFrame | None, shard_images: float
) -> np.ndarray:
    """Return the batch of each image, int64 (images,): from 0 in each split, in order of arrival.

    Args:
        splits: path, sha256 and split of each image.
        earlier: the same of an earlier run, with its batches; without, all are batch 0.
        shard_images: how many images a shard holds at most on average.
    """
    batches = np.zeros(len(splits), np.int64)
    if earlier is None:
        return batches
    for name in SPLITS:
        own = np.flatnonzero(splits["split"] == name)
        was = earlier[[one for one in ("path", "sha256", BATCH) if one in earlier]]
        was = lay_down(was, np.flatnonzero(earlier["split"] == name))
        found = _find_batches(lay_down(splits[["path", "sha256"]], own), was)
        batches[own] = _place_new(found, shard_images)
    return batches


def _find_batches(images: pd.DataFrame, earlier: pd.DataFrame) -> np.ndarray:
    """Return the batch that each image of a split was in, NEW where it was in none."""
    import pandas as pd

    if BATCH in earlier:
        numbers = pd.to_numeric(earlier[BATCH], errors="coerce").fillna(0).clip(0, 2**31)
        was = numbers.to_numpy(np.int64)
    else:  # of a version that knew no batches
        was = np.zeros(len(earlier), np.int64)
    # The first of equal names, which only somebody else's file has.
    place = find_places(images["path"], earlier["path"])
    place[~find_same(images["sha256"], earlier["sha256"], place)] = NEW
    found = np.full(len(images), NEW)
    found[place != NEW] = was[place[place != NEW]]
    # One that has another name now is where it was under the old one.
    left = np.ones(len(earlier), bool)
    left[place[place != NEW]] = False
    moved = dict(zip(earlier["sha256"][left], was[left], strict=True))
    named = images["sha256"].map(moved).fillna(NEW).to_numpy(np.int64)
    return np.where(found == NEW, named, found)


def _place_new(found: np.ndarray, shard_images: float) -> np.ndarray:
    """Return the batches of a split, numbered without a gap, with a place for the new images."""
    new = found == NEW
    if new.all():
        return np.zeros(len(found), np.int64)
    last = found.max()
    is_open = (found == last).sum() < shard_images
    placed = np.where(new, last if is_open else last + 1, found)
    placed = np.unique(placed, return_inverse=True)[1]
    shards = sum(2 ** count_bits(count, shard_images) for count in np.bincount(placed))
    if shards > MOST_SHARDS * 2 ** count_bits(len(placed), shard_images):
        return np.zeros(len(found), np.int64)
    return np.asarray(placed, np.int64)

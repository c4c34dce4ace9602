"""Find which near-duplicates must leave, so that none is in another split than its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.images.duplicates import find_pictures

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VAL, TEST = range(3)  # positions in SPLITS
FREE = 3  # no split is given
OUT = -1  # in no split; no conflict
# Where near-duplicates were given different splits, the first of these is not touched.
PRECEDENCE = np.array([2, 1, 0, 3])  # test, val, train, free


def number_pictures(rows: pd.DataFrame, near_duplicate_bits: int) -> np.ndarray:
    """Return a number for each image, one for all that show the same picture.

    Args:
        rows: of the manifest, which says so; one of an earlier version does not, and then images
            of the same bytes or nearly the same perceptual hash are taken for one picture.
        near_duplicate_bits: greatest number of different bits, 0 to 15.
    """
    if "picture" in rows and not (rows["picture"].isna() | (rows["picture"] == "")).any():
        return np.asarray(rows["picture"].factorize()[0], np.int64)
    phashes = rows["phash"].fillna("")
    return find_pictures(rows["sha256"], phashes, near_duplicate_bits)[1]


def find_settled_conflicts(
    cluster: np.ndarray,
    settled: np.ndarray,
    given: np.ndarray,
    home: np.ndarray,
    rank: np.ndarray,
    *,
    keep_leaks: bool,
) -> np.ndarray:
    """Return for each settled image that may not stay its near-duplicate elsewhere, -1 for others.

    Args:
        cluster: (images,), one number for all that are near-duplicates.
        settled: (images,) bool; the others are not looked at.
        given: (images,) position in SPLITS, or FREE: settled by an earlier run.
        home: (images,) position in SPLITS.
        rank: (images,) order of the copies, best first.
        keep_leaks: whether given splits that leak will stay, so that others must respect them.
    """
    is_given = given != FREE
    # Across given splits: the best copy of the split that comes first.
    standard = _find_best(cluster, PRECEDENCE[given] * len(rank) + rank, is_given)
    leaks = is_given & (given != given[standard])
    conflict = np.where(leaks, standard, OUT)
    stays = is_given & (keep_leaks | ~leaks)
    # Inside a given train split, where val or test is carved out of it: the best copy.
    leader = _find_best(cluster * 4 + given, rank, stays)
    parted = stays & (home != home[leader])
    conflict[parted] = leader[parted]
    late = find_late_conflicts(cluster, stays & ~parted, is_given | ~settled, home, rank)
    return np.where(is_given, conflict, late)


def find_late_conflicts(
    cluster: np.ndarray,
    stays: np.ndarray,
    settled: np.ndarray,
    home: np.ndarray,
    rank: np.ndarray,
) -> np.ndarray:
    """Return for each image that is not settled, and may not stay, its near-duplicate elsewhere.

    Args:
        cluster: (images,), one number for all that are near-duplicates.
        stays: (images,) bool, settled images that are in their split.
        settled: (images,) bool, images that are not looked at.
        home: (images,) position in SPLITS.
        rank: (images,) order of the copies, best first.
    """
    conflict = np.full(len(cluster), OUT)
    late = ~settled
    # They yield to whatever is settled, in however many splits that is.
    for split in range(len(SPLITS)):
        other = _find_best(cluster, rank, stays & (home == split))
        clash = late & (other != OUT) & (home != split)
        conflict[clash] = other[clash]
    # Where nothing is settled: the best copy.
    late &= _find_best(cluster, rank, stays) == OUT
    leader = _find_best(cluster, rank, late)
    clash = late & (home != home[leader])
    conflict[clash] = leader[clash]
    return conflict


def _find_best(keys: np.ndarray, rank: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return for each image the lowest in rank of its key `among` some, -1 where none is."""
    rows = np.flatnonzero(among)
    rows = rows[np.argsort(-rank[rows])]
    best = np.full(int(keys.max(initial=0)) + 1, OUT)
    best[keys[rows]] = rows  # of equal keys the last one stays: that of lowest rank
    return np.asarray(best[keys])

"""Keep groups together: the rows of one patient, one product, one series of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.errors import DarkroomError
from components.common.files.laid import ROWS, lay_texts
from components.common.terminal import count_of
from components.preprocess.splits.conflicts import (
    FREE,
    OUT,
    find_late_conflicts,
    find_settled_conflicts,
)
from components.preprocess.splits.history import find_mates

if TYPE_CHECKING:
    import pandas as pd


def find_parted(
    *,
    groups: np.ndarray,
    settled: np.ndarray,
    given: np.ndarray,
    home: np.ndarray,
    known: np.ndarray,
    rank: np.ndarray,
    leakage: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each image that its group is elsewhere: which one it yields to, and whether.

    A group is treated as copies are: given splits come first, then where most of its images were.

    Args:
        groups: (images,) names, or empty.
        settled: (images,) bool, given or where they were.
        given: (images,) position in SPLITS, or FREE.
        home: (images,) position in SPLITS.
        known: (images,) where an earlier run had put those without a given split, or OUT.
        rank: (images,) order of the copies, best first.
        leakage: what becomes of groups across given splits.
    """
    import pandas as pd

    named = groups != ""
    code, names = pd.factorize(groups)
    alone = np.arange(len(groups)) + len(names)
    code = np.where(named, code, alone)
    order = np.lexsort((rank, home != find_mates(groups, known)))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    mate = find_settled_conflicts(code, settled, given, home, place, keep_leaks=leakage == "warn")
    leaking = (mate != OUT) & (given != FREE) & (given != given[mate])
    stays = settled & ((mate == OUT) | (leaking & (leakage == "warn")))
    late = find_late_conflicts(code, stays, settled, home, place)
    mate = np.where(settled, mate, late)
    return mate, mate != OUT


def check_groups(
    leakage: str, parted: np.ndarray, paths: pd.Series, groups: np.ndarray, given: np.ndarray
) -> None:
    """Raise DarkroomError where `leakage` is fail and given splits part groups."""
    if leakage == "fail" and parted.any():
        names = sorted(set(groups[parted]))
        first = [paths[i] for i in np.flatnonzero((groups == names[0]) & (given != FREE))]
        what = count_of(len(names), "group lies", "groups lie")
        some = ", ".join(first[:3]) + (" …" if len(first) > 3 else "")
        raise DarkroomError(
            f"{what} in more than one given split, first {names[0]} ({some}); "
            "give each group one split, or set preprocess.leakage to exclude or warn"
        )


def name_together(
    sha256: pd.Series, cluster: np.ndarray, groups: np.ndarray, leader: np.ndarray
) -> pd.Series:
    """Return for each image the name of what stays together: the smallest sha256 in it, 16 digits.

    Args:
        sha256: of each image.
        cluster: (images,) numbers of the clusters of the images that are in a split.
        groups: (images,) names of the groups, or empty.
        leader: (images,) for an image that is left out, the one it yields to, whose name it takes;
            -1 for those in a split.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = leader == OUT
    near, _ = pd.factorize(np.where(kept, cluster, cluster[leader]))
    group, names = pd.factorize(groups)
    joins = kept & (groups != "")  # clusters are joined by groups that are in both
    size = len(near) + len(names)
    edges = coo_array(
        (np.ones(joins.sum(), np.int8), (near[joins], len(near) + group[joins])), shape=(size, size)
    )
    _, component = connected_components(edges, directed=False)
    digests = pc.utf8_slice_codeunits(pa.array(sha256, pa.large_string()), 0, 16)
    rank = pc.rank(digests, "ascending", tiebreaker="first").to_numpy().astype(np.int64) - 1
    least = np.full(int(component.max(initial=0)) + 1, len(rank))
    np.minimum.at(least, component[near], rank)
    image = np.empty(len(rank), np.int64)
    image[rank] = np.arange(len(rank))
    first = image[least[component[near]]]
    parts = (digests.take(first[n : n + ROWS]).to_pylist() for n in range(0, len(first), ROWS))
    return lay_texts(parts)

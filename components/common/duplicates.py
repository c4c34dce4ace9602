"""Near-duplicates among perceptual hashes, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BITS = 64
CHUNK = 2048  # rows of a bucket compared at once: 2048² distances are 4 MB


def group_near_duplicates(phashes: Sequence[str] | np.ndarray, max_distance: int) -> np.ndarray:
    """Return a group number for each image; near-duplicates, and near-duplicates of those, share one.

    Two hashes of at most d different bits agree wholly in at least one of d + 1 bands (pigeonhole), so only
    images that share a band are compared: cost grows with the images, not with their pairs.

    Args:
        phashes: 64-bit hashes, 16 hex digits each; an empty one has no near-duplicate.
        max_distance: greatest number of different bits, 0 to 15.

    Returns:
        int64 array (images,), groups numbered by first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(phashes)
    known = np.flatnonzero([bool(phash) for phash in phashes])
    hashes = np.array([int(phashes[i], 16) for i in known], np.uint64)
    unique, place = np.unique(hashes, return_inverse=True)
    left, right = find_near_pairs(unique, max_distance)
    shape = (len(unique), len(unique))
    edges = coo_array((np.ones(len(left), np.int8), (left, right)), shape=shape)
    _, component = connected_components(edges, directed=False)
    raw = np.arange(count, dtype=np.int64) + len(unique)  # a group of its own
    raw[known] = component[place]
    _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def find_near_pairs(hashes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions (left, right) of all pairs of hashes at most max_distance bits apart.

    Args:
        hashes: uint64 (n,), no two equal.
        max_distance: 0 to 15.
    """
    bounds = np.linspace(0, BITS, max_distance + 2).astype(int)
    pairs = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for low, high in zip(bounds, bounds[1:], strict=False):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order], prepend=band[order][:1] ^ np.uint64(1)))
        for bucket in np.split(order, starts[1:]):
            pairs.extend(_compare(hashes, bucket, max_distance))
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return left, right


def _compare(
    hashes: np.ndarray, bucket: np.ndarray, max_distance: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    if len(bucket) < 2:
        return []
    found = []
    for start in range(0, len(bucket), CHUNK):
        rows = bucket[start : start + CHUNK]
        distance = np.bitwise_count(hashes[rows][:, None] ^ hashes[bucket[start:]][None, :])
        i, j = np.nonzero(distance <= max_distance)
        upper = i < j  # each pair once, none with itself
        found.append((rows[i[upper]], bucket[start:][j[upper]]))
    return found

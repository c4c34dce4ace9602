"""Near-duplicates among perceptual hashes, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

BITS = 64
BLOCK = 2048  # rows of a bucket compared at once: 2048² distances are 4 MB
PENDING = 4_000_000  # pairs kept before they are merged, so that memory stays bounded: 64 MB


def group_near_duplicates(phashes: Sequence[str] | np.ndarray, max_distance: int) -> np.ndarray:
    """Return a group number for each image: near-duplicates, and theirs again, share one.

    Two hashes of at most d different bits agree wholly in at least one of d + 1 bands of bits, so
    only images that share a band are compared (after Manku, Jain & Das Sarma, WWW 2007).

    Args:
        phashes: 64-bit hashes, 16 hex digits each; an empty one has no near-duplicate.
        max_distance: greatest number of different bits, 0 to 15.

    Returns:
        int64 array (images,), groups numbered by first appearance.
    """
    texts = [str(phash) for phash in phashes]
    known = np.flatnonzero([bool(text) for text in texts])
    hashes = np.array([int(texts[i], 16) for i in known], np.uint64)
    unique, place = np.unique(hashes, return_inverse=True)
    # An image without a hash gets a number that no other has.
    raw = np.arange(len(phashes), dtype=np.int64) + len(unique)
    raw[known] = _find_components(unique, max_distance)[place]
    return _number_by_first(raw)


def find_near_pairs(
    hashes: np.ndarray, max_distance: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions (left, right) of pairs at most max_distance bits apart, block by block.

    Every such pair is found; one that shares several bands comes several times.

    Args:
        hashes: uint64 (n,).
        max_distance: 0 to 15.
    """
    bounds = np.linspace(0, BITS, max_distance + 2).astype(int)
    for low, high in pairwise(bounds):
        mask = np.uint64((1 << int(high - low)) - 1)
        band = (hashes >> np.uint64(low)) & mask
        order = np.argsort(band, kind="stable")
        cuts = np.flatnonzero(np.diff(band[order])) + 1
        starts, ends = np.append(0, cuts), np.append(cuts, len(order))
        for i in np.flatnonzero(ends - starts > 1):
            yield from _compare(hashes, order[starts[i] : ends[i]], max_distance)


def _compare(
    hashes: np.ndarray, bucket: np.ndarray, max_distance: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the near pairs among the positions of one bucket."""
    values = hashes[bucket]
    for top in range(0, len(bucket), BLOCK):
        for left in range(top, len(bucket), BLOCK):
            ours, theirs = values[top : top + BLOCK], values[left : left + BLOCK]
            distance = np.bitwise_count(ours[:, None] ^ theirs[None, :])
            i, j = np.nonzero(distance <= max_distance)
            once = (i < j) | (left > top)  # on the diagonal each pair once, and none with itself
            yield bucket[top + i[once]], bucket[left + j[once]]


def _find_components(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """Return for each hash the number of its connected component."""
    component = np.arange(len(hashes))
    pending: list[tuple[np.ndarray, np.ndarray]] = []
    waiting = 0
    for left, right in find_near_pairs(hashes, max_distance) if len(hashes) > 1 else ():
        news = component[left] != component[right]
        if news.any():
            pending.append((left[news], right[news]))
            waiting += int(news.sum())
        if waiting > PENDING:
            component, pending, waiting = _merge(component, pending), [], 0
    return _merge(component, pending)


def _merge(component: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the components after joining those of each pair."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return component
    left, right = (component[np.concatenate(side)] for side in zip(*pairs, strict=True))
    count = len(component)
    edges = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    _, joined = connected_components(edges, directed=False)
    return np.asarray(joined[component])


def _number_by_first(raw: np.ndarray) -> np.ndarray:
    """Return group numbers 0, 1, 2 … in the order in which the groups first appear."""
    _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]

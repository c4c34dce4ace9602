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


def find_pictures(
    sha256: Sequence[str], phashes: Sequence[str], near_duplicate_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers an image: one that equal files share, one that equal looks share.

    Near-duplicates of near-duplicates share the second as well; images without a perceptual hash,
    tiny or nearly flat, only with equal files.

    Args:
        sha256: of the files, hex.
        phashes: 64-bit hashes, 16 hex digits each, or empty.
        near_duplicate_bits: greatest number of different bits, 0 to 15.

    Returns:
        int64 arrays (images,): content, picture.
    """
    import pandas as pd

    content = np.asarray(pd.factorize(np.asarray(sha256, object))[0], np.int64)
    hashes = np.asarray(phashes, object)
    looks = group_near_duplicates(hashes, near_duplicate_bits)
    picture = np.where(hashes != "", looks, content + looks.max(initial=-1) + 1)
    return content, picture


class _Forest:
    """Connected components that grow by pairs, in bounded memory."""

    def __init__(self, count: int) -> None:
        self.component = np.arange(count)  # of each node; may lag behind `add` until `flush`
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting = 0

    def add(self, left: np.ndarray, right: np.ndarray) -> None:
        """Join left[i] and right[i]."""
        news = self.component[left] != self.component[right]
        self._pairs.append((left[news], right[news]))
        self._waiting += int(news.sum())
        if self._waiting > PENDING:
            self.flush()

    def flush(self) -> None:
        """Bring `component` up to date."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if self._waiting:
            left, right = (np.concatenate(side) for side in zip(*self._pairs, strict=True))
            ends = self.component[left], self.component[right]
            shape = (len(self.component), len(self.component))
            edges = coo_array((np.ones(len(left), np.int8), ends), shape=shape)
            _, joined = connected_components(edges, directed=False)
            self.component = joined[self.component]
        self._pairs, self._waiting = [], 0


def _find_components(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """Return for each of some different hashes, uint64 (n,), the number of its component."""
    forest = _Forest(len(hashes))
    for bucket in _iterate_buckets(hashes, max_distance + 1):
        rest = bucket
        while len(rest) > 1:
            if len(bucket) > BLOCK:
                # Where thousands look alike most pairs are soon known to belong together: brought
                # side by side, they can be passed over.
                forest.flush()
                rest = rest[np.argsort(forest.component[rest], kind="stable")]
            known = forest.component[rest]
            for start in range(0, len(rest), BLOCK):
                block = slice(start, start + BLOCK)
                if (known[:BLOCK] != known[0]).any() or (known[block] != known[0]).any():
                    forest.add(*_find_near(hashes, rest[:BLOCK], rest[block], max_distance))
            rest = rest[BLOCK:]
    forest.flush()
    return forest.component


def _iterate_buckets(hashes: np.ndarray, bands: int) -> Iterator[np.ndarray]:
    """Yield the positions of the hashes that agree in a band of their bits, for each band."""
    bounds = np.linspace(0, BITS, bands + 1).astype(int)
    for low, high in pairwise(bounds):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        cuts = np.flatnonzero(np.diff(band[order])) + 1
        starts, ends = np.append(0, cuts), np.append(cuts, len(order))
        for i in np.flatnonzero(ends - starts > 1):
            yield order[starts[i] : ends[i]]


def _find_near(
    hashes: np.ndarray, ours: np.ndarray, theirs: np.ndarray, max_distance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of all pairs, one of ours and one of theirs, that are near."""
    distance = np.bitwise_count(hashes[ours][:, None] ^ hashes[theirs][None, :])
    i, j = np.nonzero(distance <= max_distance)
    return ours[i], theirs[j]


def _number_by_first(raw: np.ndarray) -> np.ndarray:
    """Return group numbers 0, 1, 2 … in the order in which the groups first appear."""
    _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]

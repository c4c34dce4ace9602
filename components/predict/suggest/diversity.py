"""From what is worth labelling, a choice that does not ask the same twice."""

from __future__ import annotations

import numpy as np

from components.common.images.duplicates import group_near_duplicates


def choose_spread(features: np.ndarray, worth: np.ndarray, count: int) -> np.ndarray:
    """Return positions of images, most wanted first: worth much, and far from those before.

    The first is the one of most worth; each next one has the greatest worth × distance from the
    nearest chosen one (farthest-first, the greedy k-centre of Sener and Savarese 2018, weighted).
    Distances are between the directions of features about their mean. benchmarks/suggest.py
    compares it with others.

    Args:
        features: float32 (images, channels).
        worth: (images,), 0 or more.
        count: how many are chosen, at most.
    """
    count = min(count, len(worth))
    if not count:
        return np.zeros(0, int)
    around = features - features.mean(axis=0)
    units = around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-12)
    left = np.asarray(worth, float).copy()
    distance = np.full(len(worth), 2.0)  # of opposite directions, the greatest there is
    chosen = np.empty(count, int)
    for step in range(count):
        wanted = left * distance
        wanted[chosen[:step]] = -1.0
        chosen[step] = best = int(wanted.argmax())
        # Of unit vectors: |a - b|² = 2 - 2 a·b.
        near = np.sqrt(np.maximum(2 - 2 * (units @ units[best]), 0.0))
        distance = np.minimum(distance, near)
    return chosen


def drop_copies(
    phashes: list[str], worth: np.ndarray, near_duplicate_bits: int, known: list[str]
) -> np.ndarray:
    """Return the positions of images of which none is a near-copy of another or of a known one.

    Of near-copies the one of most worth stays; an image without a hash has none.

    Args:
        phashes: 64-bit hashes, 16 hex digits each, or empty.
        worth: (images,).
        near_duplicate_bits: greatest number of different bits, 0 to 15.
        known: hashes of images that have labels already.
    """
    groups = group_near_duplicates([*known, *phashes], near_duplicate_bits)
    told, own = np.unique(groups[: len(known)]), groups[len(known) :]
    order = np.argsort(-worth, kind="stable")
    _, first = np.unique(own[order], return_index=True)
    kept = order[first]
    return np.sort(kept[~np.isin(own[kept], told)])

"""Bootstrap: how much a figure might have moved with other images of the same kind (Efron 1979).

All is done with weights: a resample is how often each image counts, so one product with a matrix of
weights gives a figure of many resamples at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SEED = 0  # the same images give the same intervals
CHUNK_NUMBERS = 4_000_000  # weights held at once: 32 MB


def draw_weights(
    groups: np.ndarray, resamples: int, seed: int = SEED, chunk: int = CHUNK_NUMBERS
) -> Iterator[np.ndarray]:
    """Yield, some resamples at a time, how often each image counts.

    Whole groups are drawn with replacement, because the images of one group (a patient, a burst)
    are no independent evidence. Where each image is a group of its own this is the plain bootstrap.

    Args:
        groups: int64 (images,), the number of each image's group, 0 to groups - 1.
        resamples: how many in all.
        seed: of the draws.
        chunk: numbers in one of the arrays.

    Yields:
        float64 (some, images).
    """
    random = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    some = max(1, chunk // len(groups))
    for start in range(0, resamples, some):
        rows = min(some, resamples - start)
        drawn = random.integers(0, count, (rows, count))
        drawn += np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        weights = weights.astype(np.float64)
        yield weights if count == len(groups) and _is_range(groups) else weights[:, groups]


def number_groups(names: object) -> np.ndarray:
    """Return the names of groups as numbers from 0, int64 (images,)."""
    return np.asarray(np.unique(np.asarray(names, str), return_inverse=True)[1], np.int64)


def _is_range(groups: np.ndarray) -> bool:
    return bool((groups == np.arange(len(groups))).all())

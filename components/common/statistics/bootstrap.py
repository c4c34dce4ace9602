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
    groups: np.ndarray,
    resamples: int,
    seed: int = SEED,
    chunk: int = CHUNK_NUMBERS,
    strata: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yield, some resamples at a time, how often each image counts.

    Whole groups are drawn with replacement, because the images of one group (a patient, a burst)
    are no independent evidence. Where each image is a group of its own this is the plain bootstrap.

    With strata each resample holds as many groups of a stratum as there are, and none is without.
    A stratum of n groups then shows a spread too small by (n - 1) / n: so n - 1 are drawn, and each
    counts n / (n - 1) times (Rao and Wu 1988).

    Args:
        groups: int64 (images,), the number of each image's group, 0 to groups - 1.
        resamples: how many in all.
        seed: of the draws.
        chunk: numbers in one of the arrays.
        strata: int64 (groups,), the stratum of each group, each of two groups or more
            (:func:`create_strata`); None: all are one population.

    Yields:
        float64 (some, images).
    """
    random = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    some = max(1, chunk // len(groups))
    parts = [] if strata is None else [np.flatnonzero(strata == one) for one in np.unique(strata)]
    for start in range(0, resamples, some):
        rows = min(some, resamples - start)
        if strata is None:
            weights = _draw(random, rows, count, count)
        else:
            weights = np.empty((rows, count))
            for members in parts:
                drawn = max(1, len(members) - 1)
                part = _draw(random, rows, len(members), drawn)
                weights[:, members] = part * (len(members) / drawn)
        yield weights if count == len(groups) and _is_range(groups) else weights[:, groups]


def create_strata(labels: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Return the stratum of each group, int64 (groups,): its class, where it is of one class.

    Groups of several classes are one stratum. A stratum of one group shows no spread, so all such
    are put together, and a last one with the smallest of the others (collapsed strata, Hansen et
    al. 1953). None where there are not two groups.

    Args:
        labels: int64 (images,).
        groups: int64 (images,), numbers from 0.
    """
    count = int(groups.max()) + 1
    if count < 2:
        return None
    low, high = np.full(count, labels.max()), np.zeros(count, np.int64)
    np.minimum.at(low, groups, labels)
    np.maximum.at(high, groups, labels)
    mixed = int(labels.max()) + 1
    strata = np.where(low == high, low, mixed)
    alone = np.bincount(strata)[strata] == 1
    strata[alone] = mixed + 1
    sizes = np.bincount(strata)
    if alone.sum() == 1 and len(sizes := sizes[:-1]):
        strata[alone] = np.where(sizes > 0, sizes, count + 1).argmin()
    return np.asarray(np.unique(strata, return_inverse=True)[1], np.int64)


def number_groups(names: object) -> np.ndarray:
    """Return the names of groups as numbers from 0, int64 (images,)."""
    return np.asarray(np.unique(np.asarray(names, str), return_inverse=True)[1], np.int64)


def _is_range(groups: np.ndarray) -> bool:
    return bool((groups == np.arange(len(groups))).all())


def _draw(random: np.random.Generator, rows: int, count: int, drawn: int) -> np.ndarray:
    """Return how often each of `count` is among `drawn` draws, float64 (rows, count)."""
    found = random.integers(0, count, (rows, drawn))
    found += np.arange(rows)[:, None] * count
    return np.bincount(found.ravel(), minlength=rows * count).reshape(rows, count).astype(float)

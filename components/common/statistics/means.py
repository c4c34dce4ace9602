"""Intervals of means of figures that are no shares: the loss of an image, its Brier score."""

from __future__ import annotations

import numpy as np

from components.common.statistics.bootstrap import create_strata, draw_weights
from components.common.statistics.shares import Sampling, blend_counts, compute_wilson

# A mean that rests on fewer, because some images make up nearly all of it, has no interval that
# holds (benchmarks/coverage.py).
FEWEST = 20.0
# The spread of a skewed sample is too small more often than too large, so it is trusted as that of
# fewer values (benchmarks/coverage.py).
TRUST = 2 / 3


def count_carrying(values: np.ndarray) -> float:
    """Return how many values of one size would be as much in sum and in squares (Kish)."""
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / squares if squares else 0.0


def compute_bounded_interval(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, level: float, most: float = 1.0
) -> tuple[float, float]:
    """Return the interval of mean(values), each of which lies between 0 and `most`.

    A mean of such values is at most as uncertain as the share of as many images, and Wilson's
    interval holds close to 0. Their spread says as how many images they count, the more surely the
    more groups make up the mean (:func:`~components.common.statistics.shares.blend_counts`). It is
    that within the classes, because a test split has as many images of each as it has.

    Args:
        values: (images,).
        labels: int64 (images,), the class of each.
        groups: int64 (images,), numbers from 0.
        level: such as 0.95.
        most: the largest value there can be.
    """
    from scipy.stats import norm, t

    sums, sizes = np.bincount(groups, values / most), np.bincount(groups)
    share, count = float(values.mean() / most), len(sums)
    if count < 2 or not 0 < share < 1:
        return tuple(most * end for end in compute_wilson(share, count, level))  # type: ignore[return-value]
    strata = create_strata(labels, groups)
    strata = np.zeros(count, np.int64) if strata is None else strata
    far, members = sums - share * sizes, np.bincount(strata)
    far -= (np.bincount(strata, far) / members)[strata]
    spread = (far**2 * (members / (members - 1))[strata]).sum() / len(values) ** 2
    freedom = max(1, count - len(members))
    factor = float(norm.ppf(0.5 + level / 2) / t.ppf(0.5 + level / 2, freedom)) ** 2
    seen = factor * share * (1 - share) / spread if spread else float("inf")
    images = blend_counts(seen, count, TRUST * count_carrying(sums))
    low, high = compute_wilson(share, max(images, 1.0), level)
    return most * low, most * high


def compute_mean_interval(values: np.ndarray, sampling: Sampling) -> tuple[float, float] | None:
    """Return the interval of mean(values); None where too few images make it up.

    Losses are skewed: most are small, a few are large. The percentiles of a bootstrap then lie too
    low, so each resample is measured by its own standard error (bootstrap-t, Efron 1981).

    Args:
        values: (images,), 0 or more.
        sampling: groups, level and resamples.
    """
    sums, sizes = np.bincount(sampling.groups, values), np.bincount(sampling.groups)
    if len(sums) < 2 or count_carrying(sums) < FEWEST:
        return None
    # From these five sums of a resample follow its mean and its standard error.
    parts = np.stack([sums, sizes, sums**2, sums * sizes, sizes.astype(float) ** 2], axis=1)
    every = np.arange(len(sums))
    drawn = [weights @ parts for weights in draw_weights(every, sampling.resamples)]
    means, errors = _measure(np.concatenate(drawn))
    (mean,), (error,) = _measure(parts.sum(axis=0, keepdims=True))
    # A resample of one group again and again has no spread; it says nothing.
    far = (means - mean)[errors > 0] / errors[errors > 0]
    if not len(far) or not error:
        return None
    low, high = np.percentile(far, (50 * (1 - sampling.level), 50 * (1 + sampling.level)))
    return max(0.0, float(mean - max(high, 0) * error)), float(mean - min(low, 0) * error)


def _measure(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and their standard errors, (resamples,) each."""
    total, size, squares, crossed, sizes = parts.T
    mean = total / size
    spread = np.maximum(squares - 2 * mean * crossed + mean**2 * sizes, 0)
    return mean, np.sqrt(spread) / size

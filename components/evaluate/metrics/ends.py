"""From bootstrap resamples of a figure to the ends of its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.statistics.shares import blend_counts, compute_wilson

Ends = tuple[float, float]

# Which bins are off is read from the same images, which costs some coverage: tails of 0.4 times
# their size give it back (benchmarks/coverage.py).
TAILS = 0.4
HALVINGS = 20  # to a millionth of the ECE


@dataclass(frozen=True)
class Counts:
    """How many images a figure rests on."""

    sure: float  # as many as it tells of whatever the spread is, such as groups of equal classes
    evidence: float  # groups that the spread comes from, such as those with a mistake
    most: float = np.inf  # it cannot be more
    freedom: int | None = None  # degrees of freedom of the spread where groups are few


def take_share_ends(estimate: float, resampled: np.ndarray, level: float, counts: Counts) -> Ends:
    """Return the interval of a figure between 0 and 1, such as macro F1, from its resamples.

    Their spread says as how many images the figure is; Wilson's interval of so many holds where a
    symmetric one does not, close to 1. The number leans to a sure one where few mistakes tell of
    the spread. The average of few images is biased: by how much, its resamples say, whose mean
    differs from it by as much again.

    Args:
        estimate: the figure itself.
        resampled: (resamples,), the figure of each resample.
        level: such as 0.95.
        counts: what it rests on.
    """
    from scipy.stats import norm, t

    centre = float(np.clip(2 * estimate - resampled.mean(), 0, 1))
    spread, images = float(resampled.std(ddof=1)), counts.sure
    if spread and 0 < centre < 1:
        seen = centre * (1 - centre) / spread**2
        if counts.freedom is not None:
            tail = 0.5 + level / 2
            seen *= float(norm.ppf(tail) / t.ppf(tail, counts.freedom)) ** 2
        images = blend_counts(seen, counts.sure, counts.evidence)
    low, high = compute_wilson(centre, max(1.0, min(images, counts.most)), level)
    return min(low, estimate), max(high, estimate)


def compute_area_ends(area: float, positives: float, negatives: float, level: float) -> Ends:
    """Return the interval of the ROC-AUC of one class (Newcombe 2006, method 5).

    A test is inverted, with the variance that the area has if scores are distributed exponentially
    (Hanley and McNeil 1982), so it holds where a few images are ranked wrongly, or none.

    Args:
        area: 0 to 1.
        positives: images of the class, as many as they tell of.
        negatives: images of the others.
        level: such as 0.95.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    reach = float(norm.ppf(0.5 + level / 2))

    def miss(truth: float) -> float:
        return abs(area - truth) - reach * float(
            np.sqrt(compute_area_variance(truth, positives, negatives))
        )

    # At 0 and at 1 there is no variance, and every other truth is missed.
    tiny = 1e-9
    below, above = min(area, 1 - tiny), max(area, tiny)
    low = float(brentq(miss, tiny, below)) if miss(tiny) > 0 > miss(below) else 0.0
    high = float(brentq(miss, above, 1 - tiny)) if miss(1 - tiny) > 0 > miss(above) else 1.0
    return low, high


def compute_area_variance(area: float, positives: float, negatives: float) -> float:
    """Return the variance of a ROC-AUC, as in :func:`compute_area_ends`."""
    both = (positives + negatives) / 2 - 1
    spread = 1 + both * (1 - area) / (2 - area) + both * area / (1 + area)
    return max(0.0, area * (1 - area) * spread / (positives * negatives))


def compute_ece_ends(gaps: np.ndarray, resampled: np.ndarray, level: float) -> Ends:
    """Return the interval of the expected calibration error, by inverting a test.

    The ECE of a sample is too high: noise of a bin never cancels that of another (Kumar et al.
    2019, Verified Uncertainty Calibration). So a true ECE is held possible if it, together with the
    noise that the resamples show, gives an ECE such as the one that was seen: the gaps of the bins
    are scaled by one factor, and the ends are where the ECE that was seen becomes too unlikely. 0
    is among them where noise alone can give as much.

    Args:
        gaps: (bins,), Σ (confidence - right) of the images of a bin, as a share of all images.
        resampled: (resamples, bins), the same of each resample.
        level: such as 0.95.
    """
    seen = float(np.abs(gaps).sum())
    if seen == 0:
        return 0.0, 0.0
    noise = resampled - gaps
    tail = 50 * (1 - level) * TAILS

    def find_factor(percentile: float) -> float:
        def compute(factor: float) -> float:
            return float(np.percentile(np.abs(factor * gaps + noise).sum(axis=1), percentile))

        low, high = 0.0, 2.0
        if compute(low) >= seen:
            return 0.0
        while compute(high) < seen:
            high *= 2
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if compute(middle) < seen else (low, middle)
        return high

    return find_factor(100 - tail) * seen, min(1.0, find_factor(tail) * seen)

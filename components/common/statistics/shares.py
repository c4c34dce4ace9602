"""Intervals of shares: accuracy, recall, the error above a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of few mistakes Wilson's interval begins so near to them that a truth just below holds in 84 % of
# draws. Its end is let out to where an exact one-sided test at 1.5 times the error of the level
# would put it, which reaches further for up to three mistakes (benchmarks/coverage.py --shares).
EXACT = 1.5


@dataclass(frozen=True)
class Sampling:
    """How sure figures are asked to be, and what counts as independent evidence."""

    groups: np.ndarray  # int64 (images,), see components.common.statistics.bootstrap.draw_weights
    level: float  # of the intervals, such as 0.95
    resamples: int  # of the bootstrap


def compute_share_interval(
    hits: np.ndarray, groups: np.ndarray, level: float
) -> tuple[float, float]:
    """Return the interval of mean(hits), for images that may come in groups.

    A bootstrap finds no spread where all images are right, or all of a small class; this holds
    (:func:`compute_share_ends`).

    Args:
        hits: bool (images,), at least one.
        groups: int64 (images,), see :func:`components.common.statistics.bootstrap.draw_weights`.
        level: such as 0.95.
    """
    return compute_share_ends(float(np.mean(hits)), count_sure(hits, groups, level), level)


def count_sure(hits: np.ndarray, groups: np.ndarray, level: float) -> float:
    """Return of how many images an interval of mean(hits) may be; arguments as above.

    The images of one group tell less than as many strangers: see :func:`count_effective`. A spread
    that few groups show is uncertain itself: their count is lessened by Student's t (Korn and
    Graubard 1998).
    """
    from scipy.stats import norm, t

    count, independent = count_effective(hits, groups), len(np.unique(groups))
    if 1 < independent < len(hits):
        tail = 0.5 + level / 2
        count = max(1.0, count * float(norm.ppf(tail) / t.ppf(tail, independent - 1)) ** 2)
    return count


def count_effective(values: np.ndarray, groups: np.ndarray) -> float:
    """Return how many images without groups would tell as much about mean(values).

    Their number is divided by the design effect (Kish 1965), the variance of the mean with groups
    over that without. Where few groups differ, such as three with a mistake, that variance is
    uncertain, and one that is too small would make the interval too narrow: one more group counts
    as if it agreed in itself (:func:`blend_counts`).

    Args:
        values: (images,), such as whether each is right.
        groups: int64 (images,), the group of each image.
    """
    values = np.asarray(values, np.float64)
    images, spread = len(values), float(values.var())
    members = np.unique(groups, return_inverse=True)[1]
    count = int(members.max()) + 1
    if count == images:
        return float(images)
    if not spread or count == 1:
        return float(count)  # no spread to measure: as if groups agreed in themselves
    sums = np.bincount(members, values - values.mean())
    clustered = (sums**2).sum() / images**2 * count / (count - 1)
    seen = float(np.clip(images / max(clustered * images / spread, 1.0), 1.0, images))
    kinds, times = np.unique(values, return_counts=True)
    odd = len(np.unique(members[values != kinds[times.argmax()]]))
    return blend_counts(seen, count, odd)


def blend_counts(seen: float, sure: float, evidence: float) -> float:
    """Return an effective number of images between what was seen and what is sure to hold.

    Args:
        seen: the number that an estimated variance speaks for.
        sure: the number that holds whatever that variance is.
        evidence: groups that the variance was estimated from, such as those with a mistake.
    """
    return (evidence + 1) / (evidence / seen + 1 / sure)


def compute_wilson(share: float, count: float, level: float) -> tuple[float, float]:
    """Return the ends of Wilson's interval of a share of `count` images."""
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    centre = share + z * z / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    scale = 1 + z * z / count
    low, high = (centre - half) / scale, (centre + half) / scale
    return (
        0.0 if share == 0 else max(0.0, float(low)),
        1.0 if share == 1 else min(1.0, float(high)),
    )


def compute_share_ends(share: float, count: float, level: float) -> tuple[float, float]:
    """Return the interval of a share of `count` images, close to 0 and 1 too.

    It is Wilson's, whose end towards the nearer of 0 and 1 jumps too far in with the first few
    images: there it is let out, in the manner of Brown, Cai and DasGupta (2001). The other end,
    such as the lower one of an accuracy above one half, is always Wilson's.
    """
    from scipy.stats import beta

    low, high = compute_wilson(share, count, level)
    error = EXACT * (1 - level)
    if 0 < share <= 0.5:
        low = min(low, float(beta.ppf(error, share * count, (1 - share) * count + 1)))
    if 0.5 <= share < 1:
        high = max(high, float(beta.ppf(1 - error, share * count + 1, (1 - share) * count)))
    return low, high


def combine_shares(
    shares: np.ndarray, counts: np.ndarray, weights: np.ndarray, level: float
) -> tuple[float, float]:
    """Return the interval of Σ weight · share of independent shares.

    Their distances from the ends of each are added as variances are (Zou and Donner 2008).

    Args:
        shares: (shares,).
        counts: (shares,), as many images as each is of; 0: nothing is known of it.
        weights: (shares,), which sum to 1.
        level: such as 0.95.
    """
    ends = [
        compute_share_ends(float(share), float(count), level) if count else (0.0, 1.0)
        for share, count in zip(shares, counts, strict=True)
    ]
    lows, highs = np.array(ends).T
    value = float((weights * shares).sum())
    below = np.sqrt(((weights * (shares - lows)) ** 2).sum())
    above = np.sqrt(((weights * (highs - shares)) ** 2).sum())
    return max(0.0, float(value - below)), min(1.0, float(value + above))

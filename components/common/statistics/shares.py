"""Intervals of shares: accuracy, recall, the error above a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """How sure figures are asked to be, and what counts as independent evidence."""

    groups: np.ndarray  # int64 (images,), see components.common.statistics.bootstrap.draw_weights
    level: float  # of the intervals, such as 0.95
    resamples: int  # of the bootstrap


def compute_share_interval(
    hits: np.ndarray, groups: np.ndarray, level: float
) -> tuple[float, float]:
    """Return the interval of mean(hits) (Wilson 1927), for images that may come in groups.

    A bootstrap finds no spread where all images are right, or all of a small class; this holds. The
    images of one group tell less than as many strangers: their number is divided by the design
    effect (Kish 1965), the variance of the mean with groups over that without.

    Args:
        hits: bool (images,), at least one.
        groups: int64 (images,), see :func:`components.common.statistics.bootstrap.draw_weights`.
        level: such as 0.95.
    """
    count = count_effective(hits, groups)
    return compute_wilson(float(np.mean(hits)), count, level)


def count_effective(hits: np.ndarray, groups: np.ndarray) -> float:
    """Return how many images without groups would tell as much about mean(hits)."""
    images, share = len(hits), float(np.mean(hits))
    members = np.unique(groups, return_inverse=True)[1]
    count = int(members.max()) + 1
    if count == images:
        return float(images)
    if share in (0.0, 1.0) or count == 1:
        return float(count)  # no spread to measure: as if groups agreed in themselves
    sums = np.bincount(members, np.asarray(hits, np.float64) - share)
    clustered = (sums**2).sum() / images**2 * count / (count - 1)
    effect = clustered / (share * (1 - share) / images)
    return float(np.clip(images / max(effect, 1.0), 1.0, images))


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

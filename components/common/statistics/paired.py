"""Two models on the same images: which is better, and might that be luck?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.statistics.bootstrap import draw_weights


@dataclass(frozen=True)
class Comparison:
    """What became of the same images under two models, ours and theirs."""

    images: int
    both_right: int
    won: int  # ours is right, theirs is wrong
    lost: int  # ours is wrong, theirs is right
    both_wrong: int
    difference: float  # accuracy of ours minus accuracy of theirs
    low: float  # ends of the interval of the difference
    high: float
    p_value: float  # of the exact McNemar test: that equal models differ by as much


def compare(
    ours: np.ndarray,
    theirs: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 1000,
) -> Comparison:
    """Compare two models by which images each names correctly.

    Args:
        ours: bool (images,), whether our model is right.
        theirs: bool (images,), whether the other model is right on the same images.
        groups: int64 (images,), see :func:`~components.common.statistics.bootstrap.draw_weights`;
            None: each image is a group of its own.
        level: of the interval, such as 0.95.
        resamples: of the bootstrap.
    """
    ours, theirs = np.asarray(ours, bool), np.asarray(theirs, bool)
    won, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    low, high = compute_difference_interval(ours, theirs, groups, level, resamples)
    return Comparison(
        images=len(ours),
        both_right=int((ours & theirs).sum()),
        won=won,
        lost=lost,
        both_wrong=int((~ours & ~theirs).sum()),
        difference=(won - lost) / len(ours),
        low=low,
        high=high,
        p_value=compute_mcnemar(won, lost),
    )


def compute_mcnemar(won: int, lost: int) -> float:
    """Return the two-sided p-value of the exact McNemar test.

    Images on which both are right, or both wrong, say nothing; of the others, equal models win half
    (McNemar 1947; exact: the binomial distribution).
    """
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0


def compute_difference_interval(
    ours: np.ndarray,
    theirs: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float]:
    """Return the interval of mean(ours) - mean(theirs) by the paired percentile bootstrap.

    Args:
        ours: (images,), a figure of each image: whether it is right, or its loss.
        theirs: (images,), the same of the other model.
        groups: as in :func:`compare`.
        level: of the interval.
        resamples: of the bootstrap.
    """
    gap = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    if np.ptp(gap) == 0 and abs(gap[0]) in (0.0, 1.0):
        # A bootstrap of nothing but ties, or of nothing but images won, finds no spread. So many
        # groups without another outcome still allow a share of it: the end of Wilson's interval of
        # 0 in so many. An image lost instead of won counts twice.
        from scipy.stats import binomtest

        count = len(gap) if groups is None else len(np.unique(groups))
        most = float(binomtest(0, count).proportion_ci(level, method="wilson").high)
        if not gap[0]:
            return -most, most
        return (1 - 2 * most, 1.0) if gap[0] > 0 else (-1.0, 2 * most - 1)
    groups = np.arange(len(gap)) if groups is None else groups
    found = [weights @ gap / weights.sum(axis=1) for weights in draw_weights(groups, resamples)]
    low, high = np.percentile(np.concatenate(found), (50 * (1 - level), 50 * (1 + level)))
    return float(low), float(high)

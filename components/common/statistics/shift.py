"""Have two sets of values the same distribution? A test each, with the size of the difference.

A test says whether a difference can be chance; with many images it never is, so the size decides
whether it matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shift:
    """How one quantity differs between two sets."""

    test: str
    statistic: float
    p_value: float  # that equal distributions differ by as much
    effect: float  # size of the difference, 0 to 1


def compare_numbers(before: np.ndarray, now: np.ndarray) -> Shift:
    """Compare two samples by the test of Kolmogorov and Smirnov.

    The effect is its distance: the greatest gap between the two distributions.

    Args:
        before: (values,), without NaN.
        now: (values,).
    """
    from scipy.stats import ks_2samp

    name = "Kolmogorov-Smirnov"
    if not len(before) or not len(now):
        return Shift(name, 0.0, 1.0, 0.0)
    # Exact p-values cost seconds from some thousands of values on, and tell no more.
    found = ks_2samp(before, now, method="asymp")
    return Shift(name, float(found.statistic), float(found.pvalue), float(found.statistic))


def compare_counts(table: np.ndarray) -> Shift:
    """Compare the shares of kinds in two sets by the chi-square test.

    The effect is Cramér's V of the shares, not of the counts: a small new set against a large old
    one would hide any change.

    Args:
        table: counts (2, kinds), before and now.
    """
    from scipy.stats import chi2_contingency

    table = table[:, table.sum(axis=0) > 0]
    if min(table.shape) < 2 or not table.sum(axis=1).all():
        return Shift("chi-square", 0.0, 1.0, 0.0)
    found = chi2_contingency(table, correction=False)
    effect = compute_cramers_v(table / table.sum(axis=1, keepdims=True))
    return Shift("chi-square", float(found.statistic), float(found.pvalue), effect)


def compute_cramers_v(table: np.ndarray) -> float:
    """Return Cramér's V of a table of counts, 0 to 1; 0 where a row or column is all there is."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(float)
    if min(table.shape, default=0) < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / (table.sum() * (min(table.shape) - 1))))

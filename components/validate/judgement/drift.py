"""Drift: what has changed since an earlier manifest, each with a test and an effect size.

A test says whether a difference can be chance; with many images it never is, so the effect size
decides whether it matters. Shares are compared by the chi-square test and Cramér's V of the shares,
measures by the test of Kolmogorov and Smirnov and its distance, the greatest gap between the two
distributions.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import OK
from components.common.statistics.shift import compare_counts, compare_numbers
from components.validate.judgement.expectations import WARNING
from components.validate.judgement.findings import Finding
from components.validate.judgement.signs import count_distinct

if TYPE_CHECKING:
    import pandas as pd

# Chance that anything is called drift though nothing changed; the comparisons share it
# (Bonferroni).
ALPHA = 0.01
SHARES = ("classes", "formats", "modes")
MEASURES = {
    "width": "width_px",
    "height": "height_px",
    "brightness": "brightness",
    "contrast": "contrast",
    "sharpness": "sharpness",
}
# Columns of the manifests that are compared.
COMPARED = ["label", "format", "mode", *MEASURES.values(), "sha256", "picture"]


@dataclass(frozen=True)
class Comparison:
    """One quantity, before and now."""

    quantity: str
    test: str  # chi-square or Kolmogorov-Smirnov
    statistic: float
    p_value: float
    effect_size: float  # Cramér's V, or the Kolmogorov-Smirnov distance; both 0 to 1
    changed: bool
    before: str
    now: str


def compare_manifests(
    before: pd.DataFrame, now: pd.DataFrame, max_drift: float
) -> list[Comparison]:
    """Return how classes, formats, sizes, brightness and shares of duplicates have changed.

    Args:
        before: the earlier manifest, all rows.
        now: this one.
        max_drift: effect size above which a difference beyond chance counts as a change.
    """
    old, new = (manifest[COMPARED][manifest["status"] == OK] for manifest in (before, now))
    rows = []
    for quantity, column in zip(SHARES, ("label", "format", "mode"), strict=True):
        rows.append(
            (quantity, *_compare_counts(old[column].value_counts(), new[column].value_counts()))
        )
    for quantity, column in MEASURES.items():
        rows.append((quantity, *_compare_measures(old[column], new[column])))
    doubles = [_count_doubles(images) for images in (old, new)]
    for quantity, index in (("exact duplicates", 0), ("near-duplicates", 1)):
        counts = [found[index] for found in doubles]
        rows.append((quantity, *_compare_shares(counts, [len(old), len(new)])))
    bad = [len(before) - len(old), len(now) - len(new)]
    rows.append(("rejected files", *_compare_shares(bad, [len(before), len(now)])))
    # A class that came or went is a change, however few its images.
    other_classes = set(old["label"]) != set(new["label"])
    return [
        Comparison(
            *row[:5],
            bool(row[3] < ALPHA / len(rows) and row[4] > max_drift)
            or (row[0] == "classes" and other_classes),
            *row[5:],
        )
        for row in rows
    ]


def find_drift(comparisons: list[Comparison]) -> list[Finding]:
    """Return a finding for each quantity that has changed."""
    return [
        Finding(
            f"drift: {one.quantity}",
            WARNING,
            f"{one.quantity} changed: {one.before} before, {one.now} now "
            f"({one.test}, effect size {one.effect_size:.2f}, p {one.p_value:.1g})",
            "a model of the earlier data may do worse here; compare both on the new test split",
            1,
        )
        for one in comparisons
        if one.changed
    ]


def _compare_counts(old: pd.Series, new: pd.Series) -> tuple[str, float, float, float, str, str]:
    names = sorted(set(old.index) | set(new.index), key=str)
    table = np.array([[side.get(name, 0) for name in names] for side in (old, new)])
    gone = [str(name) for name in names if name not in new.index]
    come = [str(name) for name in names if name not in old.index]
    before, now = (f"{len(side)}" for side in (old, new))
    if gone:
        before += f" (with {', '.join(gone[:5])})"
    if come:
        now += f" (with {', '.join(come[:5])})"
    if not gone and not come and names:
        shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
        most = int(np.abs(shares[1] - shares[0]).argmax())
        before, now = (f"{names[most]} {shares[side, most]:.1%}" for side in (0, 1))
    return (*astuple(compare_counts(table)), before, now)


def _compare_shares(
    counts: list[int], totals: list[int]
) -> tuple[str, float, float, float, str, str]:
    table = np.array([[count, total - count] for count, total in zip(counts, totals, strict=True)])
    before, now = (f"{c / max(1, t):.1%}" for c, t in zip(counts, totals, strict=True))
    return (*astuple(compare_counts(table)), before, now)


def _compare_measures(old: pd.Series, new: pd.Series) -> tuple[str, float, float, float, str, str]:
    found = compare_numbers(old.to_numpy(float), new.to_numpy(float))
    before, now = (
        f"median {float(side.median()):.4g}" if len(side) else "none" for side in (old, new)
    )
    return (*astuple(found), before, now)


def _count_doubles(images: pd.DataFrame) -> tuple[int, int]:
    """Return how many images are exact copies of another, and how many look like another."""
    if not len(images):
        return 0, 0
    content = np.asarray(images["sha256"].factorize()[0])
    # An earlier version did not say which pictures are the same: then those of equal bytes.
    told = images["picture"].where(images["picture"] != "", images["sha256"])
    picture = np.asarray(told.factorize()[0])
    copies = int((np.bincount(content)[content] > 1).sum())
    return copies, int((count_distinct(picture, content) > 1).sum())

"""Does a batch look like the champion's data? A test and an effect size for each figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.common.images.measures import LOGARITHMS, NAMES
from components.common.statistics.holm import correct_holm
from components.common.statistics.shift import compare_counts, compare_numbers

LEVEL = 0.01  # of all tests together (Holm 1979): one false alarm in a hundred batches
# Small effects: of a Kolmogorov-Smirnov distance, and of Cohen's w (Cohen 1988: 0.1).
MIN_EFFECT = 0.1
MIN_EXPECTED = 5  # images of a class, for the chi-squared test; rarer classes are put together
NUMBERS = ("probability", *NAMES)


@dataclass(frozen=True)
class Shift:
    """How one figure of a batch differs from that of the reference."""

    figure: str
    test: str
    p_value: float  # after Holm's correction for the number of figures
    effect: float  # 0: none, 1: all there is
    before: float | dict[str, float]  # mean (of logarithms, in their units), or class shares
    now: float | dict[str, float]
    is_drift: bool


def compare(
    reference: pd.DataFrame,
    batch: pd.DataFrame,
    level: float = LEVEL,
    min_effect: float = MIN_EFFECT,
) -> list[Shift]:
    """Compare a batch with the reference.

    A shift counts where it is no luck and no trifle: with enough images any difference is
    significant.

    Args:
        reference: columns predicted, probability and the names of image statistics.
        batch: the same of new images.
        level: of all tests together.
        min_effect: a smaller shift is a trifle.

    Returns:
        The shift of the predictions, then of their probability and of each image statistic.
    """
    found: list[tuple[str, str, float, float, Any, Any]]
    found = [("predicted", *_compare_classes(reference["predicted"], batch["predicted"]))]
    found += [(name, *_compare_numbers(name, reference[name], batch[name])) for name in NUMBERS]
    corrected = correct_holm([p_value for _, _, p_value, *_ in found])
    return [
        Shift(name, test, float(p), effect, before, now, bool(p < level and effect >= min_effect))
        for (name, test, _, effect, before, now), p in zip(found, corrected, strict=True)
    ]


def _compare_numbers(
    name: str, before: pd.Series, now: pd.Series
) -> tuple[str, float, float, float, float]:
    before, now = before.dropna(), now.dropna()
    found = compare_numbers(before.to_numpy(float), now.to_numpy(float))
    old, new = float(before.mean()), float(now.mean())
    if name in LOGARITHMS:
        old, new = 2**old, 2**new
    return found.test, found.p_value, found.effect, old, new


def _compare_classes(
    before: pd.Series, now: pd.Series
) -> tuple[str, float, float, dict[str, float], dict[str, float]]:
    counts = pd.DataFrame({"before": before.value_counts(), "now": now.value_counts()}).fillna(0)
    shares = counts / counts.sum()
    expected = counts.sum(axis=1) * counts.sum().min() / counts.to_numpy().sum()
    rare = expected < MIN_EXPECTED
    table = counts[~rare]
    if rare.any():
        table = pd.concat([table, counts[rare].sum().to_frame().T])
    table = table[table.sum(axis=1) > 0]
    found = compare_counts(table.to_numpy().T)
    # Cohen's w: of how much the shares moved, measured by the shares of before (and now, where
    # nothing was before).
    base = shares["before"].where(shares["before"] > 0, shares["now"])
    w = float(np.sqrt(((shares["now"] - shares["before"]) ** 2 / base).sum()))
    old, new = (shares[name].to_dict() for name in ("before", "now"))
    return found.test, found.p_value, min(w, 1.0), old, new

"""The figures in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.common.dataset import Dataset
from components.common.model import ModelCard
from components.evaluate.metrics import Confusion


def describe_errors(metrics: dict[str, Any]) -> str:
    """Return what the accuracy means: how many photos in 100 are misnamed."""
    low, high = metrics["intervals"]["accuracy"]
    mistakes, images = metrics["mistakes"], metrics["images"]
    if not mistakes:
        return (
            f"None of the {images:,} test photos was misnamed; on other photos like these, expect "
            f"at most {_count(1 - low, _choose_base(1 - low))} in {_choose_base(1 - low):,}."
        )
    rate, most = mistakes / images, 1 - low
    return (
        f"About {_count(rate, _choose_base(rate))} in {_choose_base(rate):,} are misnamed; on "
        f"other photos like these, expect {_count(1 - high, _choose_base(most))} to "
        f"{_count(most, _choose_base(most))} in {_choose_base(most):,}."
    )


def describe_confusion(pairs: Sequence[Confusion]) -> str:
    """Return which classes are mixed up most; empty without mistakes."""
    if not pairs:
        return ""
    first = pairs[0]
    return (
        f"Most often confused: {first.actual} taken for {first.predicted} "
        f"({first.images:,} {'time' if first.images == 1 else 'times'})."
    )


def describe_calibration(metrics: dict[str, Any]) -> str:
    """Return what the calibration error means."""
    ece = metrics["ece"]
    words = f"On average the probabilities are {100 * ece:.1f} percentage points off"
    bins = [one for one in metrics["reliability"] if one["images"]]
    lean = sum(one["images"] * (one["confidence"] - one["accuracy"]) for one in bins)
    lean /= metrics["images"]
    if abs(lean) < 0.01:
        return f"{words}, to no one side."
    side = "it is surer than it should be" if lean > 0 else "it is right more often than it says"
    return f"{words}: {side}."


def find_doubts(card: ModelCard, dataset: Dataset) -> list[str]:
    """Return what a reader should know before trusting the figures."""
    learnt = card.digests.get("train")
    if learnt and learnt != dataset.splits["train"].digest:
        return [
            "The model was trained on another version of the data: it may have learnt from some of "
            "these test images, and the figures may flatter it."
        ]
    return []


def _count(rate: float, base: int) -> str:
    number = rate * base
    return f"{number:,.0f}" if number >= 0.5 or number == 0 else "less than 1"


def _choose_base(rate: float) -> int:
    """Return the smallest power of ten, at least 100, in which the rate is 1.5 or more."""
    base = 100
    while rate * base < 1.5 and base < 1_000_000:
        base *= 10
    return base

"""Promotion rules that so many test images can meet: what cannot be shown by them is not asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from components.common.statistics.shares import compute_wilson
from components.init.choice import Choice
from components.init.sight import Sight

if TYPE_CHECKING:
    from typing import Any

LEVEL = 0.95
GOOD = 0.9  # a model that is right so often should be able to pass
STEP = 20  # limits are set in steps of 0.05
# Bins of the ECE, of 15, in which probabilities lie; and how many of them an image each makes.
OCCUPIED, OCCUPIED_EACH = 8, 0.4
# Half as much again as is to be expected of a model whose probabilities are right.
ECE_ROOM = 1.5
SHARES = ("accuracy", "recall")  # what an exact test can judge of a small class
FEWEST_FOR_TEST = 5  # wins in a row that a sign test at 0.05 asks for: 2⁻⁵ is 0.03, 2⁻⁴ 0.06


def choose_rules(rules: Sequence[Any], sight: Sight, test_fraction: float) -> list[Choice]:
    """Return what to change in the rules, each with its reason.

    Args:
        rules: as they are.
        sight: of the source.
        test_fraction: share of the test where no test split is given.
    """
    test, largest = count_test(sight, test_fraction)
    found: list[Choice] = []
    for number, rule in enumerate(rules):
        found += _relax(f"promote.rules.{number}", rule, test, largest)
    return found


def count_test(sight: Sight, test_fraction: float) -> tuple[int, int]:
    """Return about how many test images there will be, and of them in the largest class."""
    given = sight.count_split("test")
    if given:
        counts = [splits.get("test", 0) for splits in sight.classes.values()]
        test, largest = given, max(counts)
    else:
        test = max(len(sight.counts), round(sight.images * test_fraction))
        largest = max(1, round(max(sight.counts.values()) * test_fraction))
    # Images of one group tell little more than one of them.
    groups = round(sight.groups * test / max(1, sight.images))
    return (min(test, max(1, groups)) if sight.groups else test), largest


def _relax(key: str, rule: Any, test: int, largest: int) -> Iterator[Choice]:
    images = f"{test} test image{'' if test == 1 else 's'}"
    if rule.each:
        if rule.min_images > largest and rule.small == "skip" and rule.each == "classes":
            words = f"no class will have {rule.min_images} test images (the largest {largest})"
            if rule.metric in SHARES and rule.at_least is not None:
                yield Choice(f"{key}.small", "test", f"{words}: an exact test judges them", "skip")
            else:
                yield Choice(f"{key}.min_images", largest, words, rule.min_images)
    elif rule.metric == "accuracy.low" and rule.at_least is not None:
        low = compute_wilson(GOOD, test, LEVEL)[0]
        if low < rule.at_least:
            limit = math.floor(low * STEP) / STEP
            reason = f"with {images} the lower end is {low:.2f} where {GOOD:.0%} are right"
            yield Choice(f"{key}.at_least", limit, reason, rule.at_least)
    elif rule.metric == "ece" and rule.at_most is not None:
        luck = estimate_ece(test)
        if ECE_ROOM * luck > rule.at_most:
            limit = math.ceil(ECE_ROOM * luck * STEP) / STEP
            reason = f"with {images} even right probabilities have an ECE of about {luck:.2f}"
            yield Choice(f"{key}.at_most", limit, reason, rule.at_most)


def estimate_ece(images: int) -> float:
    """Return the ECE that luck alone makes of so many images, of a model that is right in GOOD.

    In each bin the share that is right spreads by sqrt(p (1 - p) / n), and the mean of the size of
    such a spread is sqrt(2 / π) of it; weighted by the bins' shares that is the sum over them.
    """
    bins = min(OCCUPIED, OCCUPIED_EACH * images)
    return math.sqrt(2 * bins * GOOD * (1 - GOOD) / (math.pi * images))

"""What mistakes cost: the table of evaluate.costs, the decisions by it, and their price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError
from components.common.serving.decisions import Decisions
from components.common.statistics.means import compute_bounded_interval
from components.common.statistics.shares import Sampling

ANY = "*"  # in the table: every class that it does not name


def create_costs(
    table: Mapping[str, Mapping[str, float]], class_names: list[str]
) -> list[list[float]]:
    """Return what each mistake costs, class (row) taken for another (column); none for no table.

    A mistake that the table does not name costs 1, a right answer nothing.

    Args:
        table: class → what it is taken for → cost; `*` stands for every other class.
        class_names: of rows and columns.

    Raises:
        DarkroomError: if it names a class that there is not, or a cost below 0.
    """
    if not table:
        return []
    found = 1.0 - np.eye(len(class_names))
    # What is said of single classes overrides what is said of any.
    for actual in sorted(table, key=lambda name: name != ANY):
        for taken in sorted(table[actual], key=lambda name: name != ANY):
            cost = float(table[actual][taken])
            if not 0 <= cost < float("inf"):
                raise DarkroomError(
                    f"evaluate.costs.{actual}.{taken}: must be 0 or more, got {cost:g}"
                )
            rows, columns = (
                find_classes(name, class_names, "evaluate.costs") for name in (actual, taken)
            )
            for row in rows:
                for column in columns:
                    if row != column or ANY not in (actual, taken):
                        found[row, column] = cost
    return [[float(one) for one in row] for row in found]


def find_classes(name: str, class_names: list[str], setting: str) -> list[int]:
    """Return the positions of the classes that a name in a setting stands for.

    Raises:
        DarkroomError: if there is no such class.
    """
    if name in class_names:
        return [class_names.index(name)]
    if name == ANY:
        return list(range(len(class_names)))
    known = ", ".join(class_names[:20]) + (" …" if len(class_names) > 20 else "")
    raise DarkroomError(
        f"{setting}: no class {name!r}; legal are {known}, and {ANY} for every other class"
    )


def describe_costs(
    predictions: Predictions, decisions: Decisions, sampling: Sampling
) -> dict[str, Any]:
    """Return what an answer costs on the average; nothing without a table of costs.

    Args:
        predictions: of the test split, decided by the costs.
        decisions: with the costs.
        sampling: groups and level.

    Returns:
        `expected` cost of an answer with its interval; that of naming the `likeliest` class; and,
        where a review has a price, that of handing unsure answers over (`with_review`) with the
        share that is (`handed_over`).
    """
    if not decisions.costs:
        return {}
    table, labels = np.array(decisions.costs), predictions.labels
    paid = table[labels, predictions.predicted]  # (images,)
    most = float(table.max()) or 1.0
    ends = compute_bounded_interval(paid, labels, sampling.groups, sampling.level, most)
    found: dict[str, Any] = {
        "expected": float(paid.mean()),
        "expected_interval": list(ends),
        "likeliest": float(table[labels, predictions.probabilities.argmax(axis=1)].mean()),
        "most": most,
    }
    if decisions.review_cost is not None:
        unsure = decisions.find_unsure(predictions.probabilities)
        price = np.where(unsure, decisions.review_cost, paid)
        most = max(most, decisions.review_cost)
        ends = compute_bounded_interval(price, labels, sampling.groups, sampling.level, most)
        found |= {
            "with_review": float(price.mean()),
            "with_review_interval": list(ends),
            "handed_over": float(unsure.mean()),
        }
    return {"costs": found}

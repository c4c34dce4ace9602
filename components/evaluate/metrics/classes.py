"""How sure the figures of one class are: recall, precision and F1."""

from __future__ import annotations

from components.common.artifacts.predictions import Predictions
from components.common.statistics.shares import (
    Sampling,
    compute_share_ends,
    count_effective,
)
from components.evaluate.metrics.ends import Ends
from components.evaluate.metrics.evidence import FEWEST_CARRYING, Evidence


def compute_class_ends(
    predictions: Predictions, label: int, evidence: Evidence, sampling: Sampling
) -> dict[str, Ends]:
    """Return the intervals of a class's recall, precision and F1, of those that have one.

    A class of few groups has none. Most of them are all right, or a single one is wrong, and there
    is nothing between intervals that always hold then and such as do not; of few groups alike
    within themselves nobody knows how alike they are. Nor has a precision that hangs on as few
    images of another class, as that of the frequent one of two at 1 : 50 does on the rare one's.

    Args:
        predictions: of the test split.
        label: of the class.
        evidence: of :func:`.evidence.count_evidence`.
        sampling: groups and level.
    """
    if evidence.groups[label] < FEWEST_CARRYING:
        return {}
    groups, level, correct = sampling.groups, sampling.level, predictions.correct
    own, taken = predictions.labels == label, predictions.predicted == label
    count = count_effective(correct[own], groups[own])
    ends = {"recall": compute_share_ends(float(correct[own].mean()), count, level)}
    weighed = evidence.weigh_class(label)
    for name, of in (("precision", taken), ("f1", own | taken)):
        tells, carrying = weighed[name]
        if min(carrying, len(set(groups[of].tolist()))) < FEWEST_CARRYING:
            continue
        count = tells * count_effective(correct[of], groups[of])
        ends[name] = compute_share_ends(float(correct[of].mean()), count, level)
    if "f1" in ends:
        # F1 = 2J / (1 + J), where J is the share of hits among all images that are of the class or
        # are taken for it (Jaccard).
        low, high = ends["f1"]
        ends["f1"] = 2 * low / (1 + low), 2 * high / (1 + high)
    return ends

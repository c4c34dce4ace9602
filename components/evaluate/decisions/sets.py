"""Prediction sets: which classes an image may be of, so that the true one is among them.

Conformal prediction: a class is in the set where its probability is at least what all but a share
of the test images have for their true class (Sadinle, Lei and Wasserman 2019). Whatever the model
is, the set of a new image of the same kind then holds its class with the coverage that was asked
for. A class with groups enough has a limit of its own, so it is promised for that class too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.serving.decisions import find_sets

FOLDS = 5  # groups are dealt into so many, to see what the sets of images not looked at hold
EVERY = 0.0  # a limit: every class is in every set, because nothing else can be promised


@dataclass(frozen=True)
class SetLimits:
    """From which probability on each class is in the set of an image."""

    limits: np.ndarray  # (classes,)
    is_own: np.ndarray  # bool (classes,), whether its own images decided the limit


def find_limits(
    true: np.ndarray, labels: np.ndarray, groups: np.ndarray, coverage: float, classes: int
) -> SetLimits:
    """Return the limits that promise the coverage.

    Args:
        true: (images,), probability of the true class.
        labels: (images,), position of the true class.
        groups: int64 (images,), of which a new image will be none.
        coverage: share of new images whose set shall hold their class.
        classes: number of classes.
    """
    limits = np.full(classes, find_limit(true, groups, coverage))
    is_own = np.zeros(classes, bool)
    for label in range(classes):
        of = labels == label
        if len(np.unique(groups[of])) >= count_needed(coverage):
            limits[label], is_own[label] = find_limit(true[of], groups[of], coverage), True
    return SetLimits(limits, is_own)


def find_limit(true: np.ndarray, groups: np.ndarray, coverage: float) -> float:
    """Return the probability that the true class of a new image will have with this chance.

    The next group is as likely to lie before any of those seen as after it, so each group counts
    one in groups + 1, shared by its images, and one is left for what is worse than all (Lee, Barber
    and Willett 2023, for groups; without groups it is split conformal prediction).
    """
    if not len(true):
        return EVERY
    members = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(members)
    order = np.argsort(-true, kind="stable")
    share = np.cumsum(1 / (sizes[members[order]] * (len(sizes) + 1)))
    enough = np.flatnonzero(share >= coverage - 1e-12)
    return float(true[order[enough[0]]]) if len(enough) else EVERY


def count_needed(coverage: float) -> int:
    """Return how many groups are the fewest of which a limit can promise this coverage."""
    return int(np.ceil(coverage / (1 - coverage) - 1e-9))


def describe_sets(
    predictions: Predictions, groups: np.ndarray, coverage: float
) -> tuple[list[float], dict[str, Any]]:
    """Return the limits of the classes, and what sets by them are like.

    Size and coverage are measured on images that had no say in the limits: those of one fold by
    the limits of the others.

    Args:
        predictions: of the test split.
        groups: int64 (images,), the group of each image.
        coverage: as in :func:`find_limits`.
    """
    labels, table = predictions.labels, predictions.probabilities
    classes = len(predictions.class_names)
    true = table[np.arange(len(labels)), labels]
    found = find_limits(true, labels, groups, coverage, classes)
    fold = np.unique(groups, return_inverse=True)[1] % FOLDS
    sizes, held = np.zeros(len(labels)), np.zeros(len(labels), bool)
    for number in np.unique(fold):
        own, rest = fold == number, fold != number
        apart = find_limits(true[rest], labels[rest], groups[rest], coverage, classes)
        is_in = find_sets(table[own], apart.limits)  # (images, classes)
        sizes[own], held[own] = is_in.sum(axis=1), is_in[np.arange(own.sum()), labels[own]]
    return found.limits.tolist(), {
        "promised": coverage,
        "held": float(held.mean()),
        "mean_size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
        "classes_promised": int(found.is_own.sum()),
        "groups": len(np.unique(groups)),
        "groups_needed": count_needed(coverage),
    }

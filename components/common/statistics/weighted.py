"""Scores of the classes under many weightings of the same images at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScores:
    """What became of each class, each (weightings, classes)."""

    actual: np.ndarray  # weight of the images that are of the class
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    def average(self, values: np.ndarray) -> np.ndarray:
        """Return the macro average, (weightings,); classes without images are left out."""
        seen = self.actual > 0
        return np.asarray((values * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def score_classes(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int
) -> ClassScores:
    """Return the scores of each class; 0 where one is neither there nor answered.

    Args:
        labels: int64 (images,), what they are.
        predicted: int64 (images,), what they are taken for.
        weights: (weightings, images), how often each image counts.
        classes: number of classes.
    """
    actual = _sum_by(weights, labels, classes)  # (weightings, classes)
    answered = _sum_by(weights, predicted, classes)
    hits = _sum_by(weights * (labels == predicted), labels, classes)
    return ClassScores(
        actual=actual,
        precision=_divide(hits, answered),
        recall=_divide(hits, actual),
        f1=_divide(2 * hits, actual + answered),
    )


def _sum_by(weights: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return sums of weights (weightings, images) by group of image: (weightings, count)."""
    from scipy.sparse import csr_array

    images = np.arange(len(groups))
    member = csr_array((np.ones(len(groups)), (images, groups)), (len(groups), count))
    return np.asarray(weights @ member)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))

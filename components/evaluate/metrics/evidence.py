"""How much evidence an average over classes rests on, however many images there are.

Of two classes at 1 : 50 the macro average hangs on the few images of the rare one: neither the
number of images nor the spread that resamples show can say how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.artifacts.predictions import Predictions


@dataclass(frozen=True)
class Evidence:
    """What stands behind the figures of the classes, each (classes,); classes without images: 0."""

    groups: np.ndarray  # groups of images of the class
    missed: np.ndarray  # groups with an image of the class that is taken for another
    mistaken: np.ndarray  # groups with an image of another class that is taken for it
    shares: np.ndarray  # of the images that are of the class

    def weigh(self, figure: str) -> tuple[float, float, float]:
        """Return on how many groups an average rests, and on how many groups with a mistake.

        The variance of an average of classes is Σ weight² · variance / groups, so each class has a
        leverage of weight² / groups.

        Args:
            figure: such as `macro.f1`: the average, then what is averaged.

        Returns:
            The groups that would tell as much if all classes were alike, the groups of the classes
            with leverage, and the groups with a mistake, of those classes.
        """
        average, _, name = figure.partition(".")
        seen = self.groups > 0
        weight = self.shares[seen] if average == "weighted" else np.full(seen.sum(), 1 / seen.sum())
        leverage = weight**2 / self.groups[seen]
        alike = 1 / leverage.sum()
        leverage = leverage / leverage.sum()
        mistakes = np.zeros(seen.sum())
        if name != "precision":
            mistakes += self.missed[seen]
        if name != "recall":
            mistakes += self.mistaken[seen]
        if name == "f1":
            mistakes /= 2  # one mistake is missed in one class and mistaken in another
        squares = leverage**2
        carrying = float(1 / (squares / self.groups[seen]).sum())
        return alike, carrying, float((squares * mistakes).sum() / squares.sum() ** 2)


def count_evidence(predictions: Predictions, groups: np.ndarray) -> Evidence:
    """Count groups of images, and of mistakes, by class.

    Args:
        predictions: of the images.
        groups: int64 (images,), the group of each.
    """
    classes, wrong = len(predictions.class_names), ~predictions.correct
    labels, predicted = predictions.labels, predictions.predicted

    def count(members: np.ndarray, of: np.ndarray) -> np.ndarray:
        pairs = np.unique(np.stack([members[of], groups[of]]), axis=1)
        return np.bincount(pairs[0], minlength=classes)

    return Evidence(
        groups=count(labels, np.ones(len(labels), bool)),
        missed=count(labels, wrong),
        mistaken=count(predicted, wrong),
        shares=np.bincount(labels, minlength=classes) / len(labels),
    )

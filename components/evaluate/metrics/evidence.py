"""How much evidence an average over classes rests on, however many images there are.

Of two classes at 1 : 50 the macro average hangs on the few images of the rare one: neither the
number of images nor the spread that resamples show can say how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.artifacts.predictions import Predictions

# What rests on fewer groups of images has no interval that holds, nor has a log loss that fewer
# mistakes make up, or an area that hangs on fewer misranked groups (benchmarks/coverage.py).
FEWEST_CARRYING, FEWEST_WRONG = 20, 15


@dataclass(frozen=True)
class Evidence:
    """What stands behind the figures of the classes, each (classes,); classes without images: 0."""

    groups: np.ndarray  # groups of images of the class
    missed: np.ndarray  # groups with an image of the class that is taken for another
    mistaken: np.ndarray  # groups with an image of another class that is taken for it
    images: np.ndarray  # that are of the class
    confusion: np.ndarray  # images, (classes, classes): row = what it is, column = its answer

    @property
    def shares(self) -> np.ndarray:
        """Of the images that are of each class, (classes,)."""
        return np.asarray(self.images / self.images.sum())

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

    def weigh_class(self, label: int) -> dict[str, tuple[float, float]]:
        """Return what stands behind a class's precision and F1.

        The images of each class are as many as they are, so less is left to chance than in a share
        of as many answers: each row of the confusion is a binomial of its own, and the figure's
        variance is the sum of theirs (the delta method). One more mistake of each kind is counted,
        as none is never sure.

        Args:
            label: of the class.

        Returns:
            `precision` and `f1` → how many times as much its answers tell as a share of them, and
            on how many groups it rests: degrees of freedom after Satterthwaite (1946), of the
            classes that its variance comes from.
        """
        hits = float(self.confusion[label, label])
        if not hits:
            return dict.fromkeys(("precision", "f1"), (1.0, float(self.groups[label])))
        others_seen = self.groups > 0
        others_seen[label] = False
        taken = self.confusion[:, label] + others_seen / max(1, others_seen.sum())
        others, own = taken.sum() - hits, self.images[label] + 1
        rest = taken * (1 - taken / (self.images + 1))
        found = {}
        for name, whole, slope in (
            ("precision", hits + others, others / (hits + others)),
            ("f1", own + others, 1.0),
        ):
            share = hits / whole
            slopes = np.full(len(taken), share)
            slopes[label] = slope
            parts = slopes**2 * rest / whole**2
            spread = float(parts.sum())  # 0 where there is no other class
            tells = share * (1 - share) / whole / spread if spread else 1.0
            found[name] = tells, _count_freedom(parts, self.groups)
        return found

    def weigh_precisions(self) -> float:
        """Return how many times as much the answers tell of the weighted precision as shares would.

        As :meth:`weigh_class`, of all classes at once: an image that is taken for another class
        lowers the precision of that one, and its own class has one hit less.
        """
        seen = self.groups > 0
        others = seen[:, None] & ~np.eye(len(seen), dtype=bool)
        counts = self.confusion + others / max(1, seen.sum() - 1)
        taken = np.maximum(counts.sum(axis=0), 1)
        share = counts.diagonal() / taken
        slopes = (np.eye(len(share)) - share) * self.shares / taken
        parts = (slopes**2 * counts).sum(axis=1)
        parts -= (slopes * counts).sum(axis=1) ** 2 / np.maximum(counts.sum(axis=1), 1)
        alone = float((self.shares**2 * share * (1 - share) / taken).sum())
        return alone / float(parts.sum()) if parts.sum() else 1.0


def _count_freedom(parts: np.ndarray, groups: np.ndarray) -> float:
    of = parts > 0
    total = float((parts[of] ** 2 / groups[of]).sum())
    return float(parts[of].sum()) ** 2 / total if total else float(groups.sum())


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
        images=np.bincount(labels, minlength=classes),
        confusion=np.bincount(labels * classes + predicted, minlength=classes**2)
        .reshape(classes, classes)
        .astype(float),
    )

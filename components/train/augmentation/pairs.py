"""Does a change of images turn one class into another? Judged for each pair of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A class is taken for another one if so much of it is, more than before …
SHARE = 0.25
# … and if chance would do that to one class of all in one data set of so many.
LEVEL = 0.05


@dataclass(frozen=True)
class Swap:
    """A class that a change turns into another."""

    label: int
    other: int
    taken: float  # share of its images that are taken for the other, more than before


def find_swaps(
    labels: np.ndarray, plain: np.ndarray, changed: np.ndarray, classes: int
) -> list[Swap]:
    """Return the classes that a change turns into another one, the worst first.

    All classes together would not show it: of 40 kinds of traffic signs, two are each other's
    mirror image. So each pair is judged by itself, by McNemar's exact test on the images that are
    named rightly as they are and as the other class when changed, or the other way round, at a
    level that is divided by the number of classes.

    Args:
        labels: (images,).
        plain: what a judge that had not learnt from an image calls it: (images,).
        changed: what it calls the changed image.
        classes: number of classes.
    """
    from scipy.stats import binom

    counts = np.bincount(labels, minlength=classes)
    lost = (plain == labels) & (changed != labels)
    won = (changed == labels) & (plain != labels)
    there, back = np.zeros((classes, classes), int), np.zeros((classes, classes), int)
    np.add.at(there, (labels[lost], changed[lost]), 1)
    np.add.at(back, (labels[won], plain[won]), 1)
    swaps = []
    for label, other in zip(*np.nonzero(there), strict=True):
        more, less = int(there[label, other]), int(back[label, other])
        taken = (more - less) / counts[label]
        chance = float(binom.sf(more - 1, more + less, 0.5))
        if taken >= SHARE and chance * np.count_nonzero(counts) <= LEVEL:
            swaps.append(Swap(int(label), int(other), float(taken)))
    return sorted(swaps, key=lambda swap: -swap.taken)

"""At which confidence may one automate? A threshold that keeps its promise, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.serving.decisions import NOTHING_SURE, is_unsure
from components.common.statistics.shares import (
    Sampling,
    compute_share_interval,
    count_effective,
)
from components.evaluate.decisions.costs import ANY, find_classes

STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Threshold:
    """What becomes of the images that the model is at least so sure of."""

    threshold: float
    images: int  # with a probability of at least the threshold
    coverage: float  # their share of all
    error: float | None  # share of them that is wrong; None without images
    error_interval: list[float] | None


@dataclass(frozen=True)
class Promise:
    """A threshold, and the share of wrong answers above it that it promises not to exceed."""

    threshold: float  # 0: all may be answered; NOTHING_SURE: none, because nothing can be promised
    bound: float | None  # the upper end of that share, at the level; None without a threshold
    images_needed: int  # sure, right and of groups of their own: the fewest that can promise it


def choose_threshold(
    confidence: np.ndarray, correct: np.ndarray, max_error: float, sampling: Sampling
) -> Promise:
    """Return the lowest threshold above which at most `max_error` of new answers will be wrong.

    That holds but for a chance of 1 - level: selection with guaranteed risk (Geifman and El-Yaniv
    2017). The candidates are tested in an order that does not look at the answers, from few images
    to all, each by the exact binomial bound, up to the first that fails; so a test costs nothing
    while those before it hold (fixed sequences, Angelopoulos et al. 2021, where the paper halves
    the images and shares the chance among the halvings). Sequences begin at the fewest images that
    can promise anything, and at 2, 4, 8 … times as many; these share the chance.

    The threshold lies half way between the last image that is answered and the first that is not.

    Args:
        confidence: (images,), probability of the predicted class.
        correct: bool (images,).
        max_error: share.
        sampling: groups and level; images in groups count less, by their design effect.
    """
    images, chance = len(confidence), 1 - sampling.level
    if not images:
        return Promise(NOTHING_SURE, None, count_needed(max_error, chance))
    order = np.argsort(-confidence, kind="stable")
    sure, wrong, groups = confidence[order], ~correct[order], sampling.groups[order]
    copies = images / count_effective(wrong, groups)  # images for one of independent evidence
    fewest = count_needed(max_error, chance)
    starts = max(1, int(np.log2(max(images / (copies * fewest), 1))) + 1)
    share = chance / starts
    needed = count_needed(max_error, share)
    mistakes = np.concatenate([[0], np.cumsum(wrong)])

    def bound(count: int) -> float:
        # Of images in groups fewer are counted, with as large a share of mistakes.
        few = count_effective(wrong[:count], groups[:count])
        return compute_upper(mistakes[count] / count * few, few, share)

    candidates = list_candidates(sure, max_error, share, copies)
    best, found = 0, 1.0
    for start in range(starts):
        for count in candidates[candidates >= copies * needed * 2**start]:
            if (seen := bound(int(count))) > max_error:
                break
            if count > best:
                best, found = int(count), seen
    if not best:
        return Promise(NOTHING_SURE, None, needed)
    threshold = 0.0 if best == images else float((sure[best - 1] + sure[best]) / 2)
    return Promise(threshold, found, needed)


@dataclass(frozen=True)
class ClassThreshold:
    """The threshold of the answers that name one class, and what it does to the test images."""

    name: str
    max_error: float  # share of wrong answers among those that name it, the promise
    threshold: float  # as in Promise
    bound: float | None
    images_needed: int
    named: int  # images that are taken for the class
    answered: int  # of these, with a probability of at least the threshold
    wrong: int  # of these


def read_promises(shares: Mapping[str, float], class_names: list[str]) -> dict[int, float]:
    """Return class → share of wrong answers allowed, of `evaluate.max_error_of`.

    Raises:
        DarkroomError: if it names a class that there is not.
    """
    found: dict[int, float] = {}
    for name in sorted(shares, key=lambda name: name != ANY):
        for label in find_classes(name, class_names, "evaluate.max_error_of"):
            found[label] = shares[name]
    return dict(sorted(found.items()))


def choose_class_threshold(
    predictions: Predictions, label: int, max_error: float, sampling: Sampling
) -> ClassThreshold:
    """Return the threshold of the answers that name `label`; see :func:`choose_threshold`."""
    named = predictions.predicted == label
    sure, correct = predictions.confidence[named], predictions.correct[named]
    own = replace(sampling, groups=sampling.groups[named])
    promise = choose_threshold(sure, correct, max_error, own)
    answered = ~is_unsure(sure, promise.threshold)
    return ClassThreshold(
        name=predictions.class_names[label],
        max_error=max_error,
        threshold=promise.threshold,
        bound=promise.bound,
        images_needed=promise.images_needed,
        named=len(sure),
        answered=int(answered.sum()),
        wrong=int((answered & ~correct).sum()),
    )


def list_candidates(sure: np.ndarray, max_error: float, chance: float, copies: float) -> np.ndarray:
    """Return how many of the surest images are tried, int64 (candidates,), rising to all.

    They are the fewest that may hold 0, 1, 2 … mistakes and still keep the promise. A threshold
    takes all images of one confidence, or none.

    Args:
        sure: (images,), falling.
        max_error: the promise.
        chance: that it is not kept.
        copies: images for one of independent evidence.
    """
    from scipy.stats import nbinom

    images = len(sure)
    if not 0 < max_error < 1:
        return np.array([images])
    mistakes = np.arange(int(max_error * images / copies) + 1)
    # Fewer than k + 1 mistakes in n images: the (k + 1)-th comes after the n-th.
    counts = nbinom.isf(chance, mistakes + 1, max_error) + mistakes + 1
    counts = np.ceil(copies * counts).astype(np.int64)
    counts = counts[counts < images]
    ends = np.searchsorted(-sure, -sure[counts - 1], side="right")
    return np.unique([*ends, images])


def count_needed(max_error: float, chance: float) -> int:
    """Return how many right answers without a wrong one promise an error of at most `max_error`."""
    if max_error <= 0:
        return 2**31  # no number of images can promise that there is no mistake at all
    return 1 if max_error >= 1 else int(np.ceil(np.log(chance) / np.log1p(-max_error)))


def compute_upper(mistakes: float, images: float, chance: float) -> float:
    """Return the upper end of a share after Clopper and Pearson (1934), missed by `chance`."""
    from scipy.stats import beta

    if mistakes >= images:
        return 1.0
    return float(beta.isf(chance, mistakes + 1, images - mistakes))


def compute_threshold(
    confidence: np.ndarray, correct: np.ndarray, threshold: float, sampling: Sampling
) -> Threshold:
    """Return coverage and error above one threshold."""
    sure = ~is_unsure(confidence, threshold)
    images = int(sure.sum())
    ends = None
    if images:
        ends = compute_share_interval(~correct[sure], sampling.groups[sure], sampling.level)
    return Threshold(
        threshold=threshold,
        images=images,
        coverage=images / len(confidence),
        error=float(np.mean(~correct[sure])) if images else None,
        error_interval=list(ends) if ends else None,
    )


def compute_curve(confidence: np.ndarray, correct: np.ndarray, points: int = 200) -> np.ndarray:
    """Return (points, 3): threshold, coverage and error, from the surest image to all of them."""
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    error = np.cumsum(~correct[order]) / count
    table = np.stack([confidence[order], count / len(order), error], axis=1)
    shown = np.unique(np.linspace(0, len(order) - 1, min(points, len(order))).astype(int))
    return np.asarray(table[shown])

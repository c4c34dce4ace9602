"""Which head the features get: what is best on validation, or by cross-validation where it is tiny.

Rivals are judged by their log loss at their own temperature: a strong penalty names the classes
well and is too modest, which one number mends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from components.common.terminal import say
from components.train.probe.folds import deal
from components.train.probe.heads import LOGISTIC, MEANS, Head, Way, fit_way, scale_head
from components.train.selection.calibration import fit_temperature
from components.train.selection.scores import compute_accuracy, compute_log_loss

# Inverse strengths of the penalty, from strong to weak; every other one is tried until the loss
# rises, then the best one's neighbours. The best lies inside on small and large data. Standardised
# features are larger, so theirs are stronger.
PENALTIES = {
    False: (1e-3, 3e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    True: (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
}
# A validation split of fewer images chooses by luck: then all images choose, by cross-validation,
# as long as they are few enough for that to take seconds.
TINY, FEW = 150, 1500
FOLDS = 5
# Up to so many training images a class the nearest mean is a rival; boundaries want more images.
FEW_A_CLASS = 20
# Images on which it is seen whether features should be standardised.
JUDGED_ON = 4000


@dataclass(frozen=True)
class Known:
    """Features and labels of train and val."""

    features: np.ndarray  # float32 (images, channels)
    labels: np.ndarray  # (images,)
    val_features: np.ndarray
    val_labels: np.ndarray
    classes: int
    groups: np.ndarray  # (images of train, then val): numbers; images of one group stay together


@dataclass(frozen=True)
class Score:
    """How good a way is, on images that its heads were not fitted to."""

    loss: float  # log loss at its temperature, nats
    temperature: float
    accuracy: float


def choose_head(known: Known, seed: int) -> tuple[Head, float | None]:
    """Fit heads in several ways and return the best, its logits neither too sharp nor too flat.

    With it comes its accuracy by cross-validation, where that chose.

    Args:
        known: what it is fitted to, and judged by. The head is fitted to the training images alone,
            so that validation may go on to judge it.
        seed: of folds and samples.
    """
    crossed = len(known.val_labels) < TINY and len(known.groups) <= FEW
    judge = _cross_validate(known, seed) if crossed else _validate(known, seed)
    best, best_score = Way(LOGISTIC), Score(np.inf, 1.0, 0.0)
    tried = 0

    def try_out(way: Way) -> float:
        nonlocal best, best_score, tried
        score = judge(way)
        tried += 1
        if score.loss < best_score.loss - 1e-6:
            best, best_score = replace(way, temperature=score.temperature), score
        return score.loss

    for rivals in _list_rivals(known):
        last = np.inf
        for way in rivals:
            loss = try_out(way)
            if loss > last:
                break  # past the minimum it only rises
            last = loss
    for way in _list_neighbours(best):
        try_out(way)
    how = f"{FOLDS}-fold on all {len(known.groups):,} images" if crossed else "on validation"
    say(f"head: {best.describe()}, the best of {tried} by log loss {how}")
    head = fit_way(best, known.features, known.labels, known.classes)
    if crossed:
        return head, best_score.accuracy
    if len(known.labels) <= JUDGED_ON:
        return head, None
    # It was seen on a sample; all images bear another temperature.
    logits = head.compute_logits(known.val_features)
    return scale_head(head, fit_temperature(logits, known.val_labels)), None


def _list_rivals(known: Known) -> Iterator[Iterator[Way]]:
    """Yield families of ways, each from the strongest penalty to the weakest."""
    for standardised, penalties in PENALTIES.items():
        yield (Way(LOGISTIC, standardised, penalty) for penalty in penalties[::2])
    if len(known.labels) <= FEW_A_CLASS * known.classes:
        yield iter((Way(MEANS),))
        yield iter((Way(MEANS, standardised=True),))


def _list_neighbours(way: Way) -> list[Way]:
    """Return the ways whose penalty is the next stronger or weaker one."""
    if way.kind != LOGISTIC:
        return []
    penalties = PENALTIES[way.standardised]
    place = penalties.index(way.penalty)
    nearby = penalties[max(0, place - 1) : place + 2]
    return [Way(LOGISTIC, way.standardised, one) for one in nearby if one != way.penalty]


def _validate(known: Known, seed: int) -> Callable[[Way], Score]:
    """Return what judges a way by the validation split."""
    rows = np.arange(len(known.labels))
    if len(rows) > JUDGED_ON:  # one of each class at least
        random = np.random.default_rng(seed)
        mixed = random.permutation(rows)
        _, first = np.unique(known.labels[mixed], return_index=True)
        rows = np.union1d(mixed[first], mixed[:JUDGED_ON])

    def judge(way: Way) -> Score:
        head = fit_way(way, known.features[rows], known.labels[rows], known.classes)
        return _score(head.compute_logits(known.val_features), known.val_labels)

    return judge


def _cross_validate(known: Known, seed: int) -> Callable[[Way], Score]:
    """Return what judges a way by all images, each by heads that were fitted without its group."""
    features = np.concatenate([known.features, known.val_features])
    labels = np.concatenate([known.labels, known.val_labels])
    folds = list(deal(labels, known.groups, FOLDS, seed))
    if not folds:
        # No class has a second image, so nothing can be judged.
        return lambda way: Score(0.0, 1.0, 0.0)

    def judge(way: Way) -> Score:
        logits = [
            fit_way(way, features[fitted], labels[fitted], known.classes).compute_logits(
                features[judged]
            )
            for fitted, judged in folds
        ]
        own = np.concatenate([labels[judged] for _, judged in folds])
        return _score(np.concatenate(logits), own)

    return judge


def _score(logits: np.ndarray, labels: np.ndarray) -> Score:
    temperature = fit_temperature(logits, labels)
    loss = compute_log_loss(logits / temperature, labels)
    return Score(loss, temperature, compute_accuracy(logits, labels))

"""How sure the figures are: what they might have been on other test images of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.bootstrap import draw_weights
from components.common.reports import Predictions
from components.evaluate.calibration import BINS, assign_bins
from components.evaluate.ranking import Ranking
from components.evaluate.shares import Sampling, compute_share_interval

# Ranking costs classes × images × resamples; beyond this (about ten seconds) it gets fewer of them.
MOST_RANKED, LEAST_RESAMPLES = 5e9, 200
# An estimate from bins is too high by about what its resamples are higher still: the interval is
# mirrored at the estimate ("basic" bootstrap), which takes that away.
BIASED = ("ece",)

Ends = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Intervals of the figures of all images, and of each class."""

    overall: dict[str, Ends]  # dotted name →
    classes: list[dict[str, Ends]]  # of each class: name of the figure →


def compute_intervals(predictions: Predictions, sampling: Sampling, top_k: int) -> Intervals:
    """Return the intervals of all figures.

    Shares (accuracy, top-k accuracy, recall and precision of a class) after Wilson; all others by
    the bootstrap, which draws whole groups.

    Args:
        predictions: of the test split.
        sampling: groups, level and resamples.
        top_k: how many answers count.
    """
    groups, level = sampling.groups, sampling.level
    classes = len(predictions.class_names)
    rankings = create_rankings(predictions)
    ranked = int(max(LEAST_RESAMPLES, MOST_RANKED / (len(predictions) * classes)))
    found: dict[str, list[np.ndarray]] = {}
    done = 0
    for weights in draw_weights(groups, sampling.resamples):
        figures = compute_weighted(predictions, weights)
        if done < ranked:
            figures |= compute_ranked(rankings, weights)
        done += len(weights)
        for name, values in figures.items():
            found.setdefault(name, []).append(values)
    estimates = compute_weighted(predictions, np.ones((1, len(predictions))))
    overall: dict[str, Ends] = {}
    per_class: list[dict[str, Ends]] = [{} for _ in range(classes)]
    for name, parts in found.items():
        values = np.concatenate(parts)  # (resamples,) or (resamples, classes)
        if values.ndim == 1:
            estimate = float(estimates[name][0]) if name in BIASED else None
            overall[name] = _take_ends(values, level, estimate)
            continue
        for i in range(classes):
            drawn = values[:, i][~np.isnan(values[:, i])]
            if len(drawn):
                per_class[i][name] = _take_ends(drawn, level)
    hits = {"accuracy": predictions.correct, "top_k.accuracy": find_in_top(predictions, top_k)}
    for name, hit in hits.items():
        overall[name] = compute_share_interval(hit, groups, level)
    overall["balanced_accuracy"] = overall["macro.recall"]
    for i, ends in enumerate(per_class):
        for name, members in (("recall", predictions.labels), ("precision", predictions.predicted)):
            of = members == i
            if of.any():
                ends[name] = compute_share_interval(predictions.correct[of], groups[of], level)
    return Intervals(overall, per_class)


def create_rankings(predictions: Predictions) -> dict[int, Ranking]:
    """Return the ranking of each class that has test images, where others have some too."""
    rankings = {}
    for i in range(len(predictions.class_names)):
        positive = predictions.labels == i
        if positive.any() and not positive.all():
            rankings[i] = Ranking(predictions.probabilities[:, i], positive)
    return rankings


def compute_ranked(rankings: dict[int, Ranking], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return ROC-AUC and average precision, one against the rest, averaged over the classes.

    Args:
        rankings: of :func:`create_rankings`.
        weights: (weightings, images), how often each image counts.

    Returns:
        `roc_auc` and `average_precision`: (weightings,).
    """
    if not rankings:
        return {}
    columns = np.ascontiguousarray(weights.T)
    areas, averages = zip(*(one.compute(columns) for one in rankings.values()), strict=True)
    return {
        "roc_auc": np.nanmean(areas, axis=0),
        "average_precision": np.nanmean(averages, axis=0),
    }


def compute_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return figures of many weightings of the same images at once.

    A class that a weighting draws no image of is left out of that macro average, as
    :mod:`components.evaluate.metrics` leaves out classes without test images.

    Args:
        predictions: of the images.
        weights: (weightings, images), how often each image counts.

    Returns:
        Dotted name → (weightings,); `f1` → (weightings, classes), NaN where none was drawn.
    """
    labels, predicted = predictions.labels, predictions.predicted
    classes = len(predictions.class_names)
    correct, confidence = predictions.correct, predictions.confidence
    total = weights.sum(axis=1)  # (weightings,)
    actual = _sum_by(weights, labels, classes)  # (weightings, classes)
    answered = _sum_by(weights, predicted, classes)
    hits = _sum_by(weights * correct, labels, classes)
    share = actual / total[:, None]
    parts = {
        "precision": _divide(hits, answered),
        "recall": _divide(hits, actual),
        "f1": _divide(2 * hits, actual + answered),
    }
    figures = {}
    for name, values in parts.items():
        figures[f"macro.{name}"] = (values * (actual > 0)).sum(axis=1) / (actual > 0).sum(axis=1)
        figures[f"weighted.{name}"] = (values * share).sum(axis=1)
    figures["f1"] = np.where(actual > 0, parts["f1"], np.nan)
    figures["log_loss"] = weights @ compute_losses(predictions) / total
    figures["brier"] = weights @ compute_brier(predictions) / total
    gaps = _sum_by(weights * (confidence - correct), assign_bins(confidence), BINS)
    figures["ece"] = np.abs(gaps).sum(axis=1) / total
    return figures


def compute_losses(predictions: Predictions) -> np.ndarray:
    """Return -log of the probability of the true class of each image, nats, (images,)."""
    images = np.arange(len(predictions))
    true = predictions.probabilities[images, predictions.labels]
    # As scikit-learn bounds it.
    return np.asarray(-np.log(np.maximum(true, np.finfo(np.float64).eps)))


def compute_brier(predictions: Predictions) -> np.ndarray:
    """Return the Brier score of each image, Σ (probability - truth)² over the classes, 0 to 2."""
    images = np.arange(len(predictions))
    true = predictions.probabilities[images, predictions.labels]
    return np.asarray((predictions.probabilities**2).sum(axis=1) - 2 * true + 1)


def find_in_top(predictions: Predictions, top_k: int) -> np.ndarray:
    """Return whether the true class is among the `top_k` likeliest, bool (images,).

    Of equal probabilities the earlier class goes first, as it does in `predicted`.
    """
    table, labels = predictions.probabilities, predictions.labels
    true = table[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(table.shape[1]) < labels[:, None]
    ahead = (table > true) | ((table == true) & earlier)
    return np.asarray(ahead.sum(axis=1) < top_k)


def _take_ends(values: np.ndarray, level: float, estimate: float | None = None) -> Ends:
    low, high = np.percentile(values, (50 * (1 - level), 50 * (1 + level)))
    if estimate is not None:
        low, high = max(0.0, 2 * estimate - high), max(0.0, 2 * estimate - low)
    return float(low), float(high)


def _sum_by(weights: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return sums of weights (weightings, images) by group of image: (weightings, count)."""
    from scipy.sparse import csr_array

    images = np.arange(len(groups))
    member = csr_array((np.ones(len(groups)), (images, groups)), (len(groups), count))
    return np.asarray(weights @ member)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))

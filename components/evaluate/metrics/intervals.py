"""How sure the figures are: what they might have been on other test images of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import draw_weights
from components.common.statistics.losses import compute_losses
from components.common.statistics.shares import Sampling, compute_share_interval, count_effective
from components.common.statistics.weighted import score_classes
from components.evaluate.metrics.calibration import compute_gaps
from components.evaluate.metrics.ends import Ends, compute_ece_ends, take_ends, take_logit_ends
from components.evaluate.metrics.ranking import Ranking

UNBOUNDED = ("log_loss", "brier")  # figures that are no shares
# Ranking costs classes × images × resamples; beyond this (about ten seconds) it gets fewer of them.
MOST_RANKED, LEAST_RESAMPLES = 5e9, 200


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
            figures |= compute_ranked(rankings, weights, classes)
        done += len(weights)
        for name, values in figures.items():
            found.setdefault(name, []).append(values)
    resampled = {name: np.concatenate(parts) for name, parts in found.items()}
    once = np.ones((1, len(predictions)))
    gaps = compute_gaps(predictions.confidence, predictions.correct, once)[0]
    overall = {"ece": compute_ece_ends(gaps, resampled.pop("gaps"), level)}
    for name, values in resampled.items():
        if values.ndim == 1:
            count = None if name in UNBOUNDED else count_effective(predictions.correct, groups)
            overall[name] = take_ends(values, level, count)
    per_class = [
        _compute_class_ends(predictions, i, resampled, sampling, rankings.get(i))
        for i in range(classes)
    ]
    hits = {"accuracy": predictions.correct, "top_k.accuracy": find_in_top(predictions, top_k)}
    for name, hit in hits.items():
        overall[name] = compute_share_interval(hit, groups, level)
    overall["balanced_accuracy"] = overall["macro.recall"]
    return Intervals(overall, per_class)


def _compute_class_ends(
    predictions: Predictions,
    label: int,
    resampled: dict[str, np.ndarray],
    sampling: Sampling,
    ranking: Ranking | None,
) -> dict[str, Ends]:
    """Return the intervals of one class; what cannot be measured of it has none."""
    groups, level = sampling.groups, sampling.level
    ends = {}
    for name, members in (("recall", predictions.labels), ("precision", predictions.predicted)):
        of = members == label
        if of.any():
            ends[name] = compute_share_interval(predictions.correct[of], groups[of], level)
    own = predictions.labels == label
    if not own.any():
        return ends
    drawn = _drop_nan(resampled["class.f1"][:, label])
    ends["f1"] = take_ends(drawn, level, len(np.unique(groups[own])))
    if ranking is not None:
        # Of a class that is ranked without a fault: the smaller side says how sure that is.
        count = min(len(np.unique(groups[of])) for of in (own, ~own))
        estimates = ranking.compute(np.ones((len(predictions), 1)))
        for name, estimate in zip(("roc_auc", "average_precision"), estimates, strict=True):
            drawn = _drop_nan(resampled[f"class.{name}"][:, label])
            ends[name] = take_logit_ends(float(estimate[0]), drawn, level, count)
    return ends


def create_rankings(predictions: Predictions) -> dict[int, Ranking]:
    """Return the ranking of each class that has test images, where others have some too."""
    rankings = {}
    for i in range(len(predictions.class_names)):
        positive = predictions.labels == i
        if positive.any() and not positive.all():
            rankings[i] = Ranking(predictions.probabilities[:, i], positive)
    return rankings


def compute_ranked(
    rankings: dict[int, Ranking], weights: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """Return ROC-AUC and average precision, one against the rest, and their averages.

    Args:
        rankings: of :func:`create_rankings`.
        weights: (weightings, images), how often each image counts.
        classes: number of classes.

    Returns:
        `roc_auc` and `average_precision`: (weightings,); `class.roc_auc` and
        `class.average_precision`: (weightings, classes), NaN where there are not both kinds.
    """
    if not rankings:
        return {}
    columns = np.ascontiguousarray(weights.T)
    values = np.full((2, len(weights), classes), np.nan)
    for i, ranking in rankings.items():
        values[:, :, i] = ranking.compute(columns)
    figures = {}
    for name, each in zip(("roc_auc", "average_precision"), values, strict=True):
        figures[name] = np.nanmean(each[:, list(rankings)], axis=1)
        figures[f"class.{name}"] = each
    return figures


def compute_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return figures of many weightings of the same images at once.

    A class that a weighting draws no image of is left out of that macro average, as
    :mod:`components.evaluate.metrics.metrics` leaves out classes without test images.

    Args:
        predictions: of the images.
        weights: (weightings, images), how often each image counts.

    Returns:
        Dotted name → (weightings,); `class.f1` → (weightings, classes), NaN where none was drawn;
        `gaps` → (weightings, bins), see :func:`.calibration.compute_gaps`.
    """
    correct, classes = predictions.correct, len(predictions.class_names)
    total = weights.sum(axis=1)  # (weightings,)
    scores = score_classes(predictions.labels, predictions.predicted, weights, classes)
    share = scores.actual / total[:, None]
    figures = {}
    for name in ("precision", "recall", "f1"):
        values = getattr(scores, name)
        figures[f"macro.{name}"] = scores.average(values)
        figures[f"weighted.{name}"] = (values * share).sum(axis=1)
    figures["class.f1"] = np.where(scores.actual > 0, scores.f1, np.nan)
    losses = compute_losses(predictions.probabilities, predictions.labels)
    figures["log_loss"] = weights @ losses / total
    figures["brier"] = weights @ compute_brier(predictions) / total
    figures["gaps"] = compute_gaps(predictions.confidence, correct, weights)
    return figures


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


def _drop_nan(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[~np.isnan(values)])

"""How sure the figures are: what they might have been on other test images of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import create_strata, draw_weights
from components.common.statistics.losses import compute_losses
from components.common.statistics.means import compute_bounded_interval, compute_mean_interval
from components.common.statistics.shares import (
    Sampling,
    combine_shares,
    compute_share_interval,
    count_effective,
)
from components.common.statistics.weighted import score_classes
from components.evaluate.metrics.areas import (
    compute_area_averages,
    compute_ranked,
    compute_ranked_ends,
    create_rankings,
)
from components.evaluate.metrics.calibration import compute_gaps
from components.evaluate.metrics.classes import compute_class_ends
from components.evaluate.metrics.ends import Counts, Ends, compute_ece_ends, take_share_ends
from components.evaluate.metrics.evidence import (
    FEWEST_CARRYING,
    FEWEST_WRONG,
    Evidence,
    count_evidence,
)
from components.evaluate.metrics.ranking import Ranking

# Ranking costs classes × images × resamples; beyond this (about ten seconds) it gets fewer of them.
MOST_RANKED, LEAST_RESAMPLES = 5e9, 200
# With fewer groups that hold a mistake an ECE of grouped images has no interval that holds
# (benchmarks/coverage.py).
FEWEST_MISTAKES = 100
# Classes so unlike in size that the images would tell half as much of a macro average as of as many
# in equal classes: a weighted average is then no share of all images.
LOPSIDED = 0.5
AVERAGES = (
    "macro.precision", "macro.recall", "macro.f1", "weighted.precision", "weighted.f1",
)  # fmt: skip


@dataclass(frozen=True)
class Intervals:
    """Intervals of the figures of all images, and of each class.

    A figure that is not among them has too few images for an interval.
    """

    overall: dict[str, Ends]  # dotted name →
    classes: list[dict[str, Ends]]  # of each class: name of the figure →
    dropped: dict[str, int]  # resamples in which a figure was not defined, where there were any


def compute_intervals(predictions: Predictions, sampling: Sampling, top_k: int) -> Intervals:
    """Return the intervals of all figures.

    Shares (accuracy, top-k accuracy, and of a class recall, precision and F1, which is a share in
    disguise) after Wilson, with an exact end where mistakes are few, and the Brier score, which
    lies between 0 and 2; the log loss by the bootstrap-t; averages of classes by a bootstrap that
    draws as many groups of each class as there are, and Wilson's interval of as many images as its
    spread speaks for.

    Args:
        predictions: of the test split.
        sampling: groups, level and resamples.
        top_k: how many answers count.
    """
    groups, level = sampling.groups, sampling.level
    rankings = create_rankings(predictions)
    resampled, dropped = _resample(predictions, sampling, rankings)
    evidence = count_evidence(predictions, groups)
    overall = _compute_averages(predictions, evidence, sampling, resampled)
    overall |= compute_area_averages(predictions, rankings, resampled, sampling)
    overall["brier"] = compute_bounded_interval(
        compute_brier(predictions), predictions.labels, groups, level, most=2
    )
    losses = compute_losses(predictions.probabilities, predictions.labels)
    # Of a very good model it is made up by the few images that it gets wrong.
    if _count_wrong(predictions, groups) >= FEWEST_WRONG and (
        ends := compute_mean_interval(losses, sampling)
    ):
        overall["log_loss"] = ends
    if ends := compute_ece_interval(predictions, sampling):
        overall["ece"] = ends
    hits = {"accuracy": predictions.correct}
    if top_k < len(predictions.class_names):
        hits["top_k.accuracy"] = find_in_top(predictions, top_k)
    for name, hit in hits.items():
        overall[name] = compute_share_interval(hit, groups, level)
    overall["weighted.recall"] = overall["accuracy"]
    if "macro.recall" in overall:
        overall["balanced_accuracy"] = overall["macro.recall"]
    per_class = [
        compute_class_ends(predictions, i, evidence, sampling)
        | compute_ranked_ends(predictions, i, rankings.get(i), resampled, sampling)
        for i in range(len(predictions.class_names))
    ]
    return Intervals(overall, per_class, dropped)


def _resample(
    predictions: Predictions, sampling: Sampling, rankings: dict[int, Ranking]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return each figure of each resample, NaN dropped from those of all images, and how many."""
    classes = len(predictions.class_names)
    strata = create_strata(predictions.labels, sampling.groups)
    if strata is None:
        return {}, {}
    ranked = int(max(LEAST_RESAMPLES, MOST_RANKED / (len(predictions) * classes)))
    found: dict[str, list[np.ndarray]] = {}
    done = 0
    for weights in draw_weights(sampling.groups, sampling.resamples, strata=strata):
        figures = compute_weighted(predictions, weights)
        if done < ranked:
            figures |= compute_ranked(rankings, weights, classes)
        done += len(weights)
        for name, values in figures.items():
            found.setdefault(name, []).append(values)
    whole = {name: np.concatenate(parts) for name, parts in found.items()}
    missing = {name: int(np.isnan(of).sum()) for name, of in whole.items() if of.ndim == 1}
    whole = {name: _drop_nan(of) if missing.get(name) else of for name, of in whole.items()}
    return whole, {name: count for name, count in missing.items() if count}


def _compute_averages(
    predictions: Predictions,
    evidence: Evidence,
    sampling: Sampling,
    resampled: dict[str, np.ndarray],
) -> dict[str, Ends]:
    """Return the intervals of averages over the classes, where enough images carry them."""
    estimates = compute_weighted(predictions, np.ones((1, len(predictions))))
    independent = len(np.unique(sampling.groups))
    spare = max(1, independent - len(np.unique(predictions.labels)))
    is_lopsided = evidence.weigh("macro.f1")[0] < LOPSIDED * evidence.weigh("weighted.f1")[0]
    found = {}
    for name in AVERAGES:
        alike, carrying, mistakes = evidence.weigh(name)
        if name == "weighted.precision":  # a frequent class's hangs on what is taken for it
            carrying = min(carrying, evidence.weigh("macro.precision")[1])
        if name in resampled and carrying >= FEWEST_CARRYING:
            counts = Counts(
                sure=alike,
                evidence=mistakes,
                most=np.inf if is_lopsided and name == "weighted.f1" else len(predictions),
                freedom=spare if independent < len(predictions) else None,
            )
            estimate = float(estimates[name][0])
            found[name] = take_share_ends(estimate, resampled[name], sampling.level, counts)
    if is_lopsided and (wide := found.get("weighted.precision")):
        # Most of what it misses comes from the rare classes, and most of its spread from the few of
        # them that are taken for a frequent one.
        narrow = combine_precisions(predictions, evidence, sampling)
        found["weighted.precision"] = min(wide, narrow, key=lambda ends: ends[1] - ends[0])
    return found


def combine_precisions(predictions: Predictions, evidence: Evidence, sampling: Sampling) -> Ends:
    """Return the interval of the weighted precision from the precision of each class.

    Each class counts by its share of the images; one that nothing is taken for, with a precision
    of 0 of which nothing is known.
    """
    classes, tells = len(predictions.class_names), evidence.weigh_precisions()
    shares, counts = np.zeros(classes), np.zeros(classes)
    for i in np.unique(predictions.predicted):
        taken = predictions.predicted == i
        hits = predictions.correct[taken]
        shares[i] = hits.mean()
        counts[i] = tells * count_effective(hits, sampling.groups[taken])
    weights = np.bincount(predictions.labels, minlength=classes) / len(predictions)
    return combine_shares(shares, counts, weights, sampling.level)


def compute_ece_interval(predictions: Predictions, sampling: Sampling) -> Ends | None:
    """Return the interval of the calibration error; None where too few groups hold a mistake."""
    pair, groups = (predictions.confidence, predictions.correct), sampling.groups
    independent = len(np.unique(groups))
    is_grouped = independent < len(predictions)
    mistakes = _count_wrong(predictions, groups)
    if independent < 2 or (is_grouped and mistakes < FEWEST_MISTAKES):
        return None
    gaps = compute_gaps(*pair, np.ones((1, len(predictions))))[0]
    drawn = draw_weights(groups, sampling.resamples)
    resampled = np.concatenate([compute_gaps(*pair, weights) for weights in drawn])
    return compute_ece_ends(gaps, resampled, sampling.level)


def _count_wrong(predictions: Predictions, groups: np.ndarray) -> int:
    """Return how many groups hold an image that is answered wrongly."""
    return len(np.unique(groups[~predictions.correct]))


def compute_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return figures of many weightings of the same images at once.

    A class that a weighting draws no image of is left out of that macro average, as
    :mod:`components.evaluate.metrics.metrics` leaves out classes without test images.

    Args:
        predictions: of the images.
        weights: (weightings, images), how often each image counts.

    Returns:
        Dotted name → (weightings,); `gaps` → (weightings, bins), see
        :func:`.calibration.compute_gaps`.
    """
    correct, classes = predictions.correct, len(predictions.class_names)
    total = weights.sum(axis=1)  # (weightings,)
    scores = score_classes(predictions.labels, predictions.predicted, weights, classes)
    figures = {}
    for name in ("precision", "recall", "f1"):
        values = getattr(scores, name)
        figures[f"macro.{name}"] = scores.average(values)
        if name != "recall":  # weighted so, it is the accuracy
            # Divided last: of whole numbers, so that where all are right it is 1 to the last bit.
            figures[f"weighted.{name}"] = (values * scores.actual).sum(axis=1) / total
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

"""How sure the figures are: what they might have been on other test images of the same kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from components.common.reports import Predictions
from components.evaluate.calibration import BINS, assign_bins

SEED = 0  # the same predictions give the same intervals
CHUNK_NUMBERS = 4_000_000  # weights held at once: 32 MB


def compute_share_interval(hits: int, total: int, level: float) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927).

    A bootstrap finds no spread where all images are right, or all of a small class; this holds.
    """
    from scipy.stats import binomtest

    found = binomtest(hits, total).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def compute_intervals(
    predictions: Predictions, level: float, resamples: int, seed: int = SEED
) -> dict[str, tuple[float, float]]:
    """Return the intervals of the headline figures, dotted name → (low, high).

    Percentile bootstrap (Efron 1979): images are drawn with replacement, whatever their class.
    Accuracy is a share, and gets :func:`compute_share_interval`.
    """
    found: dict[str, list[np.ndarray]] = {}
    for weights in draw_weights(len(predictions), resamples, seed):
        for name, values in compute_weighted(predictions, weights).items():
            found.setdefault(name, []).append(values)
    ends = (50 * (1 - level), 50 * (1 + level))  # percent
    correct = int(predictions.correct.sum())
    intervals = {"accuracy": compute_share_interval(correct, len(predictions), level)}
    for name, parts in found.items():
        low, high = np.percentile(np.concatenate(parts), ends)
        intervals[name] = float(low), float(high)
    return intervals


def draw_weights(images: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield, some resamples at a time, how often each image is drawn: (some, images)."""
    random = np.random.default_rng(seed)
    some = max(1, CHUNK_NUMBERS // images)
    for start in range(0, resamples, some):
        count = min(some, resamples - start)
        drawn = random.integers(0, images, (count, images))
        drawn += np.arange(count)[:, None] * images
        weights = np.bincount(drawn.ravel(), minlength=count * images)
        yield weights.reshape(count, images).astype(np.float64)


def compute_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return figures of many weightings of the same images at once.

    A class that a weighting draws no image of is left out of that macro average, as
    :mod:`components.evaluate.metrics` leaves out classes without test images.

    Args:
        predictions: of the images.
        weights: (weightings, images), how often each image counts.

    Returns:
        Dotted name → (weightings,).
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
    figures["log_loss"] = weights @ compute_losses(predictions) / total
    gaps = _sum_by(weights * (confidence - correct), assign_bins(confidence), BINS)
    figures["ece"] = np.abs(gaps).sum(axis=1) / total
    return figures


def compute_losses(predictions: Predictions) -> np.ndarray:
    """Return -log of the probability of the true class of each image, nats, (images,)."""
    images = np.arange(len(predictions))
    true = predictions.probabilities[images, predictions.labels]
    return np.asarray(
        -np.log(np.maximum(true, np.finfo(np.float64).eps))
    )  # as scikit-learn bounds it


def _sum_by(weights: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return sums of weights (weightings, images) by group of image: (weightings, count)."""
    from scipy.sparse import csr_array

    images = np.arange(len(groups))
    member = csr_array((np.ones(len(groups)), (images, groups)), (len(groups), count))
    return np.asarray(weights @ member)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))

"""The numbers of metrics.json, computed from the predictions alone; scikit-learn does the sums."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from components.common.reports import Predictions
from components.evaluate.calibration import BINS, compute_bins, compute_ece
from components.evaluate.intervals import compute_intervals, compute_share_interval


@dataclass(frozen=True)
class ClassScore:
    """How well one class is known; None where nothing can be said."""

    name: str
    images: int  # test images of the class
    predicted: int  # test images that were taken for it
    precision: float | None  # None: nothing was taken for it, or it has no test image
    recall: float | None  # None: it has no test image
    recall_interval: list[float] | None
    f1: float | None


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another."""

    actual: str
    predicted: str
    images: int
    share: float  # of the images of the actual class


def create_metrics(
    predictions: Predictions, test_digest: str, level: float, resamples: int
) -> dict[str, Any]:
    """Return what metrics.json holds.

    Numbers and texts in it are what `dvc metrics show` shows and what promote's rules can name;
    lists are for the report and for whoever reads the file.

    Args:
        predictions: of the test split.
        test_digest: of the test split, from dataset.json.
        level: of the intervals, such as 0.95.
        resamples: of the bootstrap.
    """
    classes = compute_class_scores(predictions, level)
    intervals = compute_intervals(predictions, level, resamples)
    weakest = find_weakest(classes)
    return {
        **compute_figures(predictions),
        "images": len(predictions),
        "mistakes": int((~predictions.correct).sum()),
        "weakest_class": {"name": weakest.name, "f1": weakest.f1},
        "test_digest": test_digest,
        "intervals": {name: list(ends) for name, ends in intervals.items()},
        "about": describe_method(level, resamples),
        "notes": describe_gaps(classes),
        "classes": [asdict(score) for score in classes],
        "class_names": predictions.class_names,
        "confusion": compute_confusion(predictions).tolist(),
        "reliability": [
            asdict(one) for one in compute_bins(predictions.confidence, predictions.correct)
        ],
    }


def compute_figures(predictions: Predictions) -> dict[str, Any]:
    """Return the headline figures: accuracy, averages over the classes, log loss, ECE.

    Averages are over the classes that have test images. A class that nothing was taken for counts
    with a precision of 0, as in scikit-learn; :func:`describe_gaps` says so.
    """
    from sklearn import metrics

    labels, predicted = predictions.labels, predictions.predicted
    classes = list(range(len(predictions.class_names)))
    figures: dict[str, Any] = {"accuracy": float(metrics.accuracy_score(labels, predicted))}
    for average in ("macro", "weighted"):
        *parts, _ = metrics.precision_recall_fscore_support(
            labels, predicted, labels=np.unique(labels), average=average, zero_division=0
        )
        figures[average] = dict(zip(("precision", "recall", "f1"), map(float, parts), strict=True))
    figures["log_loss"] = float(metrics.log_loss(labels, predictions.probabilities, labels=classes))
    figures["ece"] = compute_ece(predictions.confidence, predictions.correct)
    return figures


def compute_confusion(predictions: Predictions) -> np.ndarray:
    """Return counts, int64 (classes, classes): row = what it is, column = what it is taken for."""
    from sklearn.metrics import confusion_matrix

    classes = np.arange(len(predictions.class_names))
    return np.asarray(
        confusion_matrix(predictions.labels, predictions.predicted, labels=classes), np.int64
    )


def compute_class_scores(predictions: Predictions, level: float) -> list[ClassScore]:
    """Return how well each class is known, in the order of the labels."""
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.arange(len(predictions.class_names))
    precision, recall, f1, images = precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=classes, zero_division=np.nan
    )
    answered = np.bincount(predictions.predicted, minlength=len(classes))
    hits = np.bincount(predictions.labels[predictions.correct], minlength=len(classes))
    scores = []
    for i, name in enumerate(predictions.class_names):
        count = int(images[i])
        ends = compute_share_interval(int(hits[i]), count, level) if count else None
        scores.append(
            ClassScore(
                name=name,
                images=count,
                predicted=int(answered[i]),
                precision=float(precision[i]) if count and answered[i] else None,
                recall=float(recall[i]) if count else None,
                recall_interval=list(ends) if ends else None,
                f1=float(f1[i]) if count else None,
            )
        )
    return scores


def find_weakest(classes: list[ClassScore]) -> ClassScore:
    """Return the class with the lowest F1 among those that have test images."""
    return min(
        (score for score in classes if score.f1 is not None), key=lambda score: score.f1 or 0.0
    )


def find_confusions(predictions: Predictions, most: int) -> list[Confusion]:
    """Return the pairs of classes that are mixed up most often, the most frequent first."""
    counts = compute_confusion(predictions)
    images = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    names = predictions.class_names
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
    return [
        Confusion(names[i], names[j], int(counts[i, j]), float(counts[i, j] / images[i]))
        for i, j in pairs
        if counts[i, j]
    ]


def describe_method(level: float, resamples: int) -> list[str]:
    """Return in words how the figures were made."""
    return [
        f"intervals hold {100 * level:g}%: accuracy and recall after Wilson, the others by the "
        f"percentile bootstrap over the test images, {resamples:,} resamples",
        "averages are over the classes that have test images",
        f"ece: {BINS} bins of equal width over the probability of the predicted class",
    ]


def describe_gaps(classes: list[ClassScore]) -> list[str]:
    """Return in words what could not be measured, and what that does to the averages."""
    notes = []
    absent = [score.name for score in classes if not score.images]
    silent = [score.name for score in classes if score.images and not score.predicted]
    if absent:
        notes.append(
            f"No test image of {_list(absent)}: nothing is measured of "
            f"{'it' if len(absent) == 1 else 'them'}, and the averages leave "
            f"{'it' if len(absent) == 1 else 'them'} out."
        )
    if silent:
        notes.append(
            f"No test image was taken for {_list(silent)}: precision is undefined there, and "
            "counts as 0 in the averages."
        )
    return notes


def _list(names: list[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more

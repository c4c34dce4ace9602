"""The numbers of metrics.json, computed from the predictions alone; scikit-learn does the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from components.common.artifacts.metrics import list_figures
from components.common.artifacts.predictions import Predictions
from components.common.statistics.shares import Sampling
from components.evaluate.metrics.areas import create_rankings
from components.evaluate.metrics.calibration import BINS, compute_bins, compute_ece
from components.evaluate.metrics.evidence import FEWEST_CARRYING
from components.evaluate.metrics.intervals import compute_brier, compute_intervals, find_in_top


@dataclass(frozen=True)
class ClassScore:
    """How well one class is known; None where nothing can be said."""

    name: str
    images: int  # test images of the class
    predicted: int  # test images that were taken for it
    precision: float | None  # None: nothing was taken for it, or it has no test image
    precision_interval: list[float] | None
    recall: float | None  # None: it has no test image
    recall_interval: list[float] | None
    f1: float | None
    f1_interval: list[float] | None
    roc_auc: float | None  # against the rest; None: it has no test image, or all are of it
    roc_auc_interval: list[float] | None
    average_precision: float | None
    average_precision_interval: list[float] | None


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another."""

    actual: str
    predicted: str
    images: int
    share: float  # of the images of the actual class
    key: str  # of the cell: label-answer


def create_metrics(
    predictions: Predictions, test_digest: str, sampling: Sampling, top_k: int
) -> dict[str, Any]:
    """Return the figures of metrics.json that the predictions alone decide.

    Numbers and texts in it are what `dvc metrics show` shows; lists are for the report, and for
    promote's rules, which name their entries (`list_figures` of components.common.artifacts).

    Args:
        predictions: of the test split.
        test_digest: of the test split, from dataset.json.
        sampling: groups, level and resamples.
        top_k: how many answers count for the top-k accuracy.
    """
    intervals = compute_intervals(predictions, sampling, top_k)
    classes = compute_class_scores(predictions, intervals.classes)
    weakest = find_weakest(classes)
    figures = compute_figures(predictions, top_k)
    return {
        **figures,
        "images": len(predictions),
        "groups": int(sampling.groups.max()) + 1,
        "mistakes": int((~predictions.correct).sum()),
        "weakest_class": {"name": weakest.name, "f1": weakest.f1},
        "test_digest": test_digest,
        "intervals": {name: list(ends) for name, ends in sorted(intervals.overall.items())},
        "without_interval": [
            name
            for name in list_figures(figures)
            if name not in intervals.overall and name != "top_k.k"
        ],
        "undefined": describe_undefined(predictions, top_k),
        "resamples_dropped": intervals.dropped,
        "about": describe_method(sampling),
        "notes": describe_gaps(classes) + describe_few(intervals.overall),
        "classes": [asdict(score) for score in classes],
        "class_names": predictions.class_names,
        "confusion": compute_confusion(predictions).tolist(),
        "reliability": [
            asdict(one)
            for one in compute_bins(predictions.confidence, predictions.correct, sampling)
        ],
    }


def compute_figures(predictions: Predictions, top_k: int) -> dict[str, Any]:
    """Return the headline figures: of the answers, of their order, of the probabilities.

    Averages are over the classes that have test images. A class that nothing was taken for counts
    with a precision of 0, as in scikit-learn; :func:`describe_gaps` says so.
    """
    from sklearn import metrics

    labels, predicted = predictions.labels, predictions.predicted
    classes = list(range(len(predictions.class_names)))
    figures: dict[str, Any] = {"accuracy": float(metrics.accuracy_score(labels, predicted))}
    figures["top_k"] = {"k": top_k}
    if top_k < len(classes):  # else it is 1, whatever the model says
        figures["top_k"]["accuracy"] = float(find_in_top(predictions, top_k).mean())
    for average in ("macro", "weighted"):
        *parts, _ = metrics.precision_recall_fscore_support(
            labels, predicted, labels=np.unique(labels), average=average, zero_division=0
        )
        figures[average] = dict(zip(("precision", "recall", "f1"), map(float, parts), strict=True))
    figures["balanced_accuracy"] = figures["macro"]["recall"]
    ranked = compute_ranked_scores(predictions)
    if ranked:
        areas, averages = zip(*ranked.values(), strict=True)
        figures["roc_auc"] = float(np.mean(areas))
        figures["average_precision"] = float(np.mean(averages))
    figures["log_loss"] = 0.0  # of one class, which is always sure
    if len(classes) > 1:
        losses = metrics.log_loss(labels, predictions.probabilities, labels=classes)
        figures["log_loss"] = float(losses)
    figures["brier"] = float(compute_brier(predictions).mean())
    figures["ece"] = compute_ece(predictions.confidence, predictions.correct)
    return figures


def compute_ranked_scores(predictions: Predictions) -> dict[int, tuple[float, float]]:
    """Return ROC-AUC and average precision of each class against the rest, where there are both."""
    ones = np.ones((len(predictions), 1))
    found = {}
    for i, ranking in create_rankings(predictions).items():
        area, average = ranking.compute(ones)
        found[i] = float(area[0]), float(average[0])
    return found


def compute_confusion(predictions: Predictions) -> np.ndarray:
    """Return counts, int64 (classes, classes): row = what it is, column = what it is taken for."""
    from sklearn.metrics import confusion_matrix

    classes = np.arange(len(predictions.class_names))
    return np.asarray(
        confusion_matrix(predictions.labels, predictions.predicted, labels=classes), np.int64
    )


def compute_class_scores(
    predictions: Predictions, intervals: list[dict[str, tuple[float, float]]]
) -> list[ClassScore]:
    """Return how well each class is known, in the order of the labels.

    Args:
        predictions: of the test split.
        intervals: of each class, name of the figure → ends.
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.arange(len(predictions.class_names))
    precision, recall, f1, images = precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=classes, zero_division=np.nan
    )
    answered = np.bincount(predictions.predicted, minlength=len(classes))
    ranked = compute_ranked_scores(predictions)
    scores = []
    for i, name in enumerate(predictions.class_names):
        count = int(images[i])
        ends = {figure: list(pair) for figure, pair in intervals[i].items()}
        known = count and answered[i]
        area, average = ranked.get(i, (None, None))
        scores.append(
            ClassScore(
                name=name,
                images=count,
                predicted=int(answered[i]),
                precision=float(precision[i]) if known else None,
                precision_interval=ends.get("precision") if known else None,
                recall=float(recall[i]) if count else None,
                recall_interval=ends.get("recall") if count else None,
                f1=float(f1[i]) if count else None,
                f1_interval=ends.get("f1") if count else None,
                roc_auc=area,
                roc_auc_interval=ends.get("roc_auc"),
                average_precision=average,
                average_precision_interval=ends.get("average_precision"),
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
        Confusion(
            names[i], names[j], int(counts[i, j]), float(counts[i, j] / images[i]), f"{i}-{j}"
        )
        for i, j in pairs
        if counts[i, j]
    ]


def describe_undefined(predictions: Predictions, top_k: int) -> dict[str, str]:
    """Return which figures do not exist for these images, and why."""
    found, classes = {}, len(predictions.class_names)
    if top_k >= classes:
        found["top_k.accuracy"] = f"of {classes} classes all are among the {top_k} likeliest"
    if len(np.unique(predictions.labels)) < 2:
        found |= dict.fromkeys(("roc_auc", "average_precision"), "all test images are of one class")
    return found


def describe_method(sampling: Sampling) -> list[str]:
    """Return in words how the figures were made."""
    images, groups = len(sampling.groups), int(sampling.groups.max()) + 1
    grouped = (
        f"; the {images:,} images are {groups:,} groups, and groups are drawn"
        if groups < images
        else ""
    )
    return [
        f"intervals hold {100 * sampling.level:g}%: after Wilson, where averages over classes and "
        "areas count as many images as the spread of a bootstrap by class speaks for, "
        f"{sampling.resamples:,} resamples{grouped}; a class's roc_auc after Newcombe; log_loss by "
        "the bootstrap-t; ece by inverting a test; what too few images carry has none, such as the "
        f"figures of a class of fewer than {FEWEST_CARRYING}",
        "averages are over the classes that have test images",
        "roc_auc and average_precision: each class against the rest, averaged",
        f"ece: {BINS} bins of equal width over the probability of the predicted class; brier: "
        "squared error summed over the classes, 0 to 2",
    ]


def describe_gaps(classes: list[ClassScore]) -> list[str]:
    """Return in words what could not be measured, and what that does to the averages."""
    notes = []
    absent = [score.name for score in classes if not score.images]
    silent = [score.name for score in classes if score.images and not score.predicted]
    if absent:
        notes.append(
            f"No test image of {list_names(absent)}: nothing is measured of "
            f"{'it' if len(absent) == 1 else 'them'}, and the averages leave "
            f"{'it' if len(absent) == 1 else 'them'} out."
        )
    if silent:
        notes.append(
            f"No test image was taken for {list_names(silent)}: precision is undefined there, and "
            "counts as 0 in the averages."
        )
    return notes


def describe_few(intervals: Mapping[str, object]) -> list[str]:
    """Return in words that averages of the classes have too few images for an interval.

    Log loss and ROC-AUC are none to mind: of a good model they seldom have one.
    """
    return [] if "macro.f1" in intervals else ["Too few images for an interval: macro averages."]


def list_names(names: list[str]) -> str:
    """Return names with commas, eight at most."""
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more

"""All that metrics.json holds, put together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.model import compute_probabilities
from components.common.artifacts.predictions import Predictions
from components.common.serving.decisions import Decisions, is_unsure
from components.common.statistics.losses import compute_losses
from components.common.statistics.shares import Sampling
from components.evaluate.checks.against import Rival
from components.evaluate.checks.footprint import Cost
from components.evaluate.checks.gradcam import Sanity
from components.evaluate.checks.mended import Mended
from components.evaluate.checks.robustness import CLEAN, Robustness
from components.evaluate.checks.slices import Slice
from components.evaluate.decisions.costs import create_costs, describe_costs
from components.evaluate.decisions.sets import describe_sets
from components.evaluate.decisions.thresholds import (
    STEPS,
    choose_class_threshold,
    choose_threshold,
    compute_threshold,
    read_promises,
)
from components.evaluate.decisions.unknown import describe_unknown
from components.evaluate.metrics.calibration import compute_bins, compute_ece
from components.evaluate.metrics.intervals import compute_ece_interval
from components.evaluate.metrics.metrics import create_metrics, list_names
from components.evaluate.spec import Params


@dataclass(frozen=True)
class Findings:
    """What was measured beside the predictions."""

    slices: list[Slice]
    rivals: list[Rival]
    robustness: list[Robustness]
    sanity: Sanity
    cost: Cost
    mended: Mended | None = None  # by a person's corrections


def create_evaluation(
    predictions: Predictions,
    sampling: Sampling,
    dataset: Dataset,
    findings: Findings,
    params: Params,
) -> dict[str, Any]:
    """Return the content of metrics.json."""
    digest = dataset.splits["test"].digest
    metrics = create_metrics(predictions, digest, sampling, params.top_k)
    metrics |= describe_calibration_before(predictions, sampling)
    own = read_promises(params.max_error_of, predictions.class_names)
    metrics |= describe_thresholds(predictions, sampling, params.max_error, own)
    limits, metrics["sets"] = describe_sets(predictions, sampling.groups, params.set_coverage)
    unknown_above, metrics["unknown"] = describe_unknown(
        predictions, sampling.groups, params.known_share
    )
    costs = create_costs(params.costs, predictions.class_names)
    # With the price of a review, the costs decide what is handed over.
    by_costs = bool(costs and params.review_cost)
    decisions = Decisions(
        unsure_below=0.0 if by_costs else metrics["unsure_below"],
        unsure_below_classes=[] if by_costs else list_thresholds(metrics),
        set_from=limits,
        costs=costs,
        review_cost=params.review_cost or None,
        unknown_above=unknown_above,
    )
    metrics |= describe_costs(predictions, decisions, sampling)
    metrics["decisions"] = asdict(decisions)
    metrics["slices"] = [asdict(one) for one in findings.slices]
    metrics["against"] = [rival.as_json() for rival in findings.rivals]
    metrics["robustness"] = [asdict(one) for one in findings.robustness]
    spoilt = [one.accuracy for one in findings.robustness if one.corruption != CLEAN]
    if spoilt:
        metrics["spoilt_accuracy"] = float(np.mean(spoilt))
    metrics["gradcam_sanity"] = asdict(findings.sanity)
    metrics["cost"] = asdict(findings.cost)
    if findings.mended is not None:
        metrics["corrections"] = asdict(findings.mended)
    metrics["notes"] += describe_unlearnt(dataset)
    metrics["notes"] += describe_promises(metrics)
    return metrics


def describe_promises(metrics: dict[str, Any]) -> list[str]:
    """Return in words what the test images are too few, or the model too weak, to promise."""
    notes, automated, sets = [], metrics["automated"], metrics["sets"]
    if automated["bound"] is None:
        needed = automated["images_needed"]
        few = f"; at least {needed:,} sure and right ones would be needed"
        notes.append(
            f"No threshold can promise, at {automated['confidence']:.0%} confidence, that at most "
            f"{automated['max_error']:.1%} of the answers are wrong (evaluate.max_error): every "
            f"answer counts as unsure. There are {automated['evidence']:,} test images"
            + (few if needed > automated["evidence"] else "")
            + "."
        )
    if sets["groups"] < sets["groups_needed"]:
        notes.append(
            f"Sets of classes hold every class: {sets['groups_needed']:,} test images are the "
            f"fewest that can promise a coverage of {sets['promised']:.0%} (evaluate.set_coverage)."
        )
    return notes


def describe_unlearnt(dataset: Dataset) -> list[str]:
    """Return in words which classes are tested and were never trained on."""
    learnt, asked = (dataset.splits[name].examples_per_class for name in ("train", "test"))
    names = [name for name in dataset.class_names if asked.get(name) and not learnt.get(name)]
    if not names:
        return []
    return [
        f"No training image of {list_names(names)}: the model cannot have learnt "
        f"{'it' if len(names) == 1 else 'them'}, and their test images count as mistakes; give "
        "the class more images, or another split."
    ]


def describe_calibration_before(predictions: Predictions, sampling: Sampling) -> dict[str, Any]:
    """Return the figures that the logits give without calibration."""
    raw = compute_probabilities(predictions.logits, 1.0)
    before = replace(predictions, probabilities=raw)
    pair, ends = (before.confidence, before.correct), compute_ece_interval(before, sampling)
    return {
        "uncalibrated": {
            "ece": compute_ece(*pair),
            "ece_interval": None if ends is None else list(ends),
            "log_loss": float(compute_losses(before.probabilities, before.labels).mean()),
        },
        "reliability_uncalibrated": [asdict(one) for one in compute_bins(*pair, sampling)],
    }


def list_thresholds(metrics: dict[str, Any]) -> list[float]:
    """Return the threshold of each class; none where one holds for all."""
    own = {one["name"]: one["threshold"] for one in metrics["unsure_below_classes"]}
    every = [own.get(name, metrics["unsure_below"]) for name in metrics["class_names"]]
    return every if own else []


def describe_thresholds(
    predictions: Predictions, sampling: Sampling, max_error: float, own: dict[int, float]
) -> dict[str, Any]:
    """Return `unsure_below`, what it does to these images, and the table of thresholds.

    Args:
        predictions: of the test split.
        sampling: groups and level.
        max_error: share of wrong answers that is promised.
        own: class → share, of those whose answers keep a promise of their own.
    """
    sure, correct = predictions.confidence, predictions.correct
    apart = [
        choose_class_threshold(predictions, label, share, sampling) for label, share in own.items()
    ]
    others = ~np.isin(predictions.predicted, list(own))
    promise = choose_threshold(
        sure[others],
        correct[others],
        max_error,
        replace(sampling, groups=sampling.groups[others]),
    )
    chosen = promise.threshold
    below = np.full(len(predictions.class_names), chosen)
    below[list(own)] = [one.threshold for one in apart]
    alone = ~is_unsure(sure, below[predictions.predicted])
    rows = {
        step: compute_threshold(sure, correct, step, sampling) for step in sorted({*STEPS, chosen})
    }
    return {
        "unsure_below": chosen,
        "unsure_below_classes": [asdict(one) for one in apart],
        "automated": {
            "max_error": max_error,
            "coverage": float(np.mean(alone)),
            "wrong": float(np.mean(~correct[alone])) if alone.any() else None,
            "bound": promise.bound,
            "confidence": sampling.level,
            "images_needed": promise.images_needed,
            "evidence": len(np.unique(sampling.groups)),
        },
        "thresholds": [asdict(row) for row in rows.values()],
    }

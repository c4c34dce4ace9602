"""All that metrics.json holds, put together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.model import compute_probabilities
from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import draw_weights
from components.common.statistics.losses import compute_losses
from components.common.statistics.shares import Sampling
from components.evaluate.checks.against import Rival
from components.evaluate.checks.footprint import Cost
from components.evaluate.checks.gradcam import Sanity
from components.evaluate.checks.robustness import CLEAN, Robustness
from components.evaluate.checks.slices import Slice
from components.evaluate.decisions.thresholds import (
    NOTHING_SURE,
    STEPS,
    choose_threshold,
    compute_threshold,
)
from components.evaluate.metrics.calibration import compute_bins, compute_ece, compute_gaps
from components.evaluate.metrics.ends import compute_ece_ends
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


def create_evaluation(
    predictions: Predictions,
    sampling: Sampling,
    dataset: Dataset,
    findings: Findings,
    params: Params,
) -> dict[str, Any]:
    """Return the content of metrics.json."""
    top_k = min(params.top_k, len(predictions.class_names))
    digest = dataset.splits["test"].digest
    metrics = create_metrics(predictions, digest, sampling, top_k)
    metrics |= describe_calibration_before(predictions, sampling)
    metrics |= describe_thresholds(predictions, sampling, params.max_error)
    metrics["slices"] = [asdict(one) for one in findings.slices]
    metrics["against"] = [rival.as_json() for rival in findings.rivals]
    metrics["robustness"] = [asdict(one) for one in findings.robustness]
    spoilt = [one.accuracy for one in findings.robustness if one.corruption != CLEAN]
    if spoilt:
        metrics["spoilt_accuracy"] = float(np.mean(spoilt))
    metrics["gradcam_sanity"] = asdict(findings.sanity)
    metrics["cost"] = asdict(findings.cost)
    metrics["notes"] += describe_unlearnt(dataset)
    if metrics["unsure_below"] == NOTHING_SURE:
        metrics["notes"].append(
            f"No probability is high enough to keep the share of wrong answers at "
            f"{params.max_error:.1%} (evaluate.max_error): every answer counts as unsure."
        )
    return metrics


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
    before = Predictions(
        predictions.class_names,
        predictions.paths,
        predictions.sha256,
        predictions.labels,
        predictions.logits,
        raw,
    )
    pair = before.confidence, before.correct
    weights = draw_weights(sampling.groups, sampling.resamples)
    resampled = np.concatenate([compute_gaps(*pair, some) for some in weights])
    gaps = compute_gaps(*pair, np.ones((1, len(before))))[0]
    return {
        "uncalibrated": {
            "ece": compute_ece(*pair),
            "ece_interval": list(compute_ece_ends(gaps, resampled, sampling.level)),
            "log_loss": float(compute_losses(before.probabilities, before.labels).mean()),
        },
        "reliability_uncalibrated": [asdict(one) for one in compute_bins(*pair)],
    }


def describe_thresholds(
    predictions: Predictions, sampling: Sampling, max_error: float
) -> dict[str, Any]:
    """Return `unsure_below`, what it does to these images, and the table of thresholds."""
    sure, correct = predictions.confidence, predictions.correct
    chosen = choose_threshold(sure, correct, max_error)
    rows = {
        step: compute_threshold(sure, correct, step, sampling) for step in sorted({*STEPS, chosen})
    }
    return {
        "unsure_below": chosen,
        "automated": {
            "max_error": max_error,
            "coverage": rows[chosen].coverage,
            "wrong": rows[chosen].error,
        },
        "thresholds": [asdict(row) for row in rows.values()],
    }

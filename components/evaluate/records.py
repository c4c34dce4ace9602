"""What a run is told of the evaluation, in MLflow and on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from components.common.artifacts.predictions import Predictions
from components.common.settings.params import flatten, list_settings
from components.common.terminal import describe_seconds
from components.common.tracking.runs import log_params
from components.evaluate.metrics.metrics import find_confusions
from components.evaluate.report import words
from components.evaluate.spec import Inputs, Outputs, Params

# What is left to the files: texts, and lists as long as the classes.
NOT_LOGGED = ("weakest_class", "test_digest", "intervals", "gradcam_sanity", "decisions")
ARTIFACTS = "evaluation"
COSTS = "evaluate.costs"


def track(
    mlflow: Any, inputs: Inputs, outputs: Outputs, params: Params, metrics: dict[str, Any]
) -> None:
    """Log settings, figures and files to the active run."""
    settings = list_settings("evaluate", params)
    # MLflow takes no name of a class as part of a name.
    settings = {name: of for name, of in settings.items() if not name.startswith(COSTS)}
    log_params(mlflow, settings | {COSTS: json.dumps(params.costs)})
    kept = {name: value for name, value in metrics.items() if name not in NOT_LOGGED}
    figures = {name: v for name, v in flatten(kept).items() if isinstance(v, int | float)}
    for name, (low, high) in metrics["intervals"].items():
        figures |= {f"{name}_low": low, f"{name}_high": high}
    mlflow.log_metrics({f"test_{name.replace('.', '_')}": v for name, v in figures.items()})
    for file in (
        outputs.predictions,
        outputs.metrics,
        outputs.latency,
        outputs.report,
        outputs.labels,
        outputs.model_card,
    ):
        mlflow.log_artifact(str(file), ARTIFACTS)
    mlflow.log_artifacts(str(outputs.plots), f"{ARTIFACTS}/plots")
    mlflow.log_artifact(str(inputs.validation), "data")


def describe_speed(predictions: Predictions, seconds: float) -> str:
    """Return how long the forward pass took."""
    return (
        f"{len(predictions):,} test images of {len(predictions.class_names)} classes in "
        f"{describe_seconds(seconds)}, {len(predictions) / seconds:,.0f} images/s"
    )


def describe(
    metrics: dict[str, Any], latency: dict[str, Any], predictions: Predictions, level: float
) -> Iterator[str]:
    """Yield the findings for the terminal."""
    low, high = metrics["intervals"]["accuracy"]
    yield (
        f"accuracy {metrics['accuracy']:.1%} ({level:.0%} interval {low:.1%} to {high:.1%}), macro "
        f"F1 {metrics['macro']['f1']:.3f} ({words.say_ends(metrics, 'macro.f1')})"
    )
    if metrics["mistakes"]:
        name = metrics["weakest_class"]["name"]
        images = next(score["images"] for score in metrics["classes"] if score["name"] == name)
        first = find_confusions(predictions, 1)[0]
        yield (
            f"weakest class: {name}, F1 {metrics['weakest_class']['f1']:.3f} on {images:,} images; "
            f"most often confused: {first.actual} taken for {first.predicted} ({first.images:,}×)"
        )
    for rival in metrics["against"]:
        yield words.describe_rival(rival)
    yield words.describe_automation(metrics)
    yield words.describe_sets(metrics)
    yield words.describe_unknown(metrics)
    if metrics.get("costs"):
        yield words.describe_costs(metrics)
    yield words.describe_slices(metrics)
    if metrics["robustness"]:
        yield words.describe_robustness(metrics)
    yield words.describe_sanity(metrics["gradcam_sanity"])
    yield words.describe_cost(metrics["cost"], latency)
    if metrics.get("corrections"):
        yield words.describe_mending(metrics)
    yield from metrics["notes"]

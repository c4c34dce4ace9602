"""Register the model and let the rules decide whether it becomes champion."""

from dataclasses import dataclass
from pathlib import Path

from components.common.spec import Data, Mlflow, param, path, shared


@dataclass(frozen=True)
class Inputs:
    """What promote reads."""

    model: Path = path("the trained model, model.keras")
    predictions: Path = path("Parquet file of evaluate, one row per test image")
    metrics: Path = path("JSON file of evaluate, metrics with their intervals")
    validation: Path = path("JSON file of validate, the verdict on the data")
    run: Path = path("JSON file of train: the MLflow run to go on with")


@dataclass(frozen=True)
class Outputs:
    """What promote writes."""

    verdict: Path = path("JSON file: the verdict, each rule with its numbers, version, alias, lineage")


@dataclass(frozen=True)
class Rule:
    """One condition that a challenger must meet to become champion; exactly one limit is set."""

    __pydantic_config__ = {"extra": "forbid"}

    metric: str = param("", "a metric of metrics.json, dotted: `accuracy`, `macro.f1`")
    at_least: float | None = param(None, "floor: the metric is at least this")
    at_most: float | None = param(None, "ceiling: the metric is at most this")
    champion_margin: float | None = param(
        None, "the metric is at most this far below the champion's on the same test images"
    )


@dataclass(frozen=True)
class Params:
    """Section `promote` of params.yaml."""

    rules: list[Rule] = param([], "all must hold; with no rules nothing is promoted")
    data: Data = shared(Data)
    mlflow: Mlflow = shared(Mlflow)

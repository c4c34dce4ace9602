"""Register the model and let the rules decide whether it becomes champion."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import ClassVar

from components.common.spec import Data, Mlflow, param, path, shared

LIMITS = ("at_least", "at_most", "champion_margin")


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

    verdict: Path = path(
        "JSON file: the verdict, each rule with its numbers, version, alias, lineage"
    )


@dataclass(frozen=True)
class Rule:
    """One condition that a challenger must meet to become champion: a metric and one limit."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    metric: str = param(
        "",
        "a number of metrics.json, dotted: `accuracy`, `macro.f1`; `accuracy.low` is the lower end "
        "of its interval",
    )
    at_least: float | None = param(None, "floor: the metric is at least this")
    at_most: float | None = param(None, "ceiling: the metric is at most this")
    champion_margin: float | None = param(
        None, "the metric is at most this much worse than the champion's on the same test images"
    )

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing, or two things; the check of params.yaml reports it."""
        if not self.metric or len(self.limits) != 1 or not isfinite(self.threshold):
            raise ValueError(f"must be a metric with exactly one of {', '.join(LIMITS)}, a number")

    @property
    def limits(self) -> list[str]:
        """Names of the limits that are set."""
        return [name for name in LIMITS if getattr(self, name) is not None]

    @property
    def limit(self) -> str:
        """Name of the one limit."""
        return self.limits[0]

    @property
    def threshold(self) -> float:
        """Its value."""
        return float(getattr(self, self.limit))


@dataclass(frozen=True)
class Params:
    """Section `promote` of params.yaml."""

    rules: list[Rule] = param([], "all must hold; with no rules nothing is promoted")
    data: Data = shared(Data)
    mlflow: Mlflow = shared(Mlflow)

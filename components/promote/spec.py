"""Register the model and let the rules decide whether it becomes champion."""

from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from components.common.settings.spec import Between, Data, Mlflow, param, path, shared

ABSOLUTE = ("at_least", "at_most")
PAIRED = ("better_by", "not_worse_by")
LIMITS = (*ABSOLUTE, "champion_margin", *PAIRED)
COSTS = "costs.expected"  # by the challenger's table, which is today's
# What a paired test can compare: figures that predictions.parquet gives anew for any resample.
PAIRED_METRICS = ("accuracy", "macro.f1", "macro.recall", "log_loss", COSTS)
# Of a class or slice: so many of its images are right, which an exact test can judge.
SHARES = ("accuracy", "recall")
# Figures that promote measures itself, on the registered model behind HTTP.
SERVED = ("served.p95_ms", "served.median_ms", "served.mb", "served.difference")


@dataclass(frozen=True)
class Inputs:
    """What promote reads."""

    images: Path = path("folder of images; some of the test split are sent to the served model")
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
        f"of its interval; or one of {', '.join(SERVED)}",
    )
    at_least: float | None = param(None, "floor: the metric is at least this")
    at_most: float | None = param(None, "ceiling: the metric is at most this")
    champion_margin: float | None = param(
        None, "the metric is at most this much worse than the champion's; no test, only figures"
    )
    better_by: float | None = param(
        None, "the paired test shows at `level` that it is better than the champion by more"
    )
    not_worse_by: float | None = param(
        None, "the paired test shows at `level` that it is worse than the champion by less"
    )
    level: Annotated[float, Between(0.0001, 0.5)] = param(
        0.05, "of the paired test: how often it may be fooled by luck"
    )
    each: Literal["", "classes", "slices"] = param(
        "", "`classes` or `slices`: the limit holds for each of them, `metric` is named within"
    )
    min_images: Annotated[int, Between(0)] = param(
        0, "a class or slice with fewer test images is not judged"
    )

    small: Literal["skip", "test"] = param(
        "skip",
        "of classes or slices with fewer than `min_images`: `skip`: not judged, and where all are "
        "so small, the evidence is not enough; `test`: fails where an exact test at `level` shows "
        "one to be below the floor",
    )

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing, or two things; the check of params.yaml reports it."""
        if not self.metric or len(self.limits) != 1 or not isfinite(self.threshold):
            raise ValueError(f"must be a metric with exactly one of {', '.join(LIMITS)}, a number")
        if self.each and self.limit not in ABSOLUTE:
            raise ValueError(f"each: goes with {' or '.join(ABSOLUTE)}, not with {self.limit}")
        if self.min_images and not self.each:
            raise ValueError("min_images: goes with each: classes or each: slices")
        if self.small == "test" and (self.metric not in SHARES or self.limit != "at_least"):
            raise ValueError(f"small: test goes with {' or '.join(SHARES)} at_least")
        if self.small == "test" and not self.min_images:
            raise ValueError("small: test goes with min_images, which says what is small")
        if self.limit in PAIRED:
            if self.metric not in PAIRED_METRICS:
                raise ValueError(f"{self.limit}: can compare {', '.join(PAIRED_METRICS)}")
            if self.threshold < 0:
                raise ValueError(f"{self.limit}: must be 0 or more, got {self.threshold:g}")

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

    @property
    def settings(self) -> dict[str, object]:
        """The keys that are set, as in params.yaml."""
        return {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default
        }

    @property
    def words(self) -> str:
        """The rule as a person says it."""
        text = f"{self.metric} {self.limit.replace('_', ' ')} {self.threshold:g}"
        if self.limit in PAIRED:
            text += f" at level {self.level:g}"
        if self.each:
            text += f" in each of the {self.each}"
        text += f" with {self.min_images} images" if self.min_images else ""
        return text + (
            f", smaller ones tested at level {self.level:g}" if self.small == "test" else ""
        )


@dataclass(frozen=True)
class Params:
    """Section `promote` of params.yaml."""

    rules: list[Rule] = param([], "all must hold; with no rules nothing is promoted")
    mode: Literal["automatic", "approve"] = param(
        "automatic",
        "automatic: the rules move `champion`; approve: a named person does, after them",
    )
    approvals: Annotated[int, Between(1, 5)] = param(
        1, "persons that it takes to approve a version by hand; rollback takes one"
    )
    served_images: Annotated[int, Between(1, 1000)] = param(
        16, "test images that are sent to the served model before an alias moves"
    )
    exports: list[Literal["saved_model", "onnx", "litert"]] = param(
        [], "further forms beside the Keras model, each checked for equal answers"
    )
    data: Data = shared(Data)
    mlflow: Mlflow = shared(Mlflow)

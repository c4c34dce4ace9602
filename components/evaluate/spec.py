"""Judge the model on the test split: predictions, metrics with intervals, a report to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.common.spec import Between, Mlflow, param, path, shared


@dataclass(frozen=True)
class Inputs:
    """What evaluate reads."""

    model: Path = path("the trained model, model.keras")
    shards: Path = path("folder of TFRecord shards and dataset.json")
    history: Path = path("CSV file of train, one row per epoch")
    validation: Path = path("JSON file of validate, the verdict on the data")
    run: Path = path("JSON file of train: the MLflow run to go on with")


@dataclass(frozen=True)
class Outputs:
    """What evaluate writes."""

    predictions: Path = path("Parquet file, each test image exactly once with its probabilities")
    metrics: Path = path("JSON file of metrics with their intervals")
    plots: Path = path("folder of CSV files for `dvc plots`")
    report: Path = path("self-contained HTML page")


@dataclass(frozen=True)
class Params:
    """Section `evaluate` of params.yaml."""

    batch_size: Annotated[int, Between(1, 4096)] = param(64, "images in one forward pass")
    confidence: Annotated[float, Between(0.5, 0.999)] = param(0.95, "level of the intervals")
    resamples: Annotated[int, Between(100, 100_000)] = param(1000, "bootstrap resamples")
    mistakes_shown: Annotated[int, Between(0, 500)] = param(24, "worst mistakes shown as pictures")
    mlflow: Mlflow = shared(Mlflow)

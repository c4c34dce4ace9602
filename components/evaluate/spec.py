"""Judge the model on the test split: predictions, metrics with intervals, a report to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.common.settings.spec import Between, Mlflow, param, path, shared


@dataclass(frozen=True)
class Inputs:
    """What evaluate reads."""

    model: Path = path("the trained model, model.keras")
    shards: Path = path("folder of TFRecord shards and dataset.json")
    manifest: Path = path("Parquet file of validate, one row per image: what the slices come from")
    splits: Path = path("Parquet file of preprocess: which images are of one group")
    history: Path = path("CSV file of train, one row per epoch")
    findings: Path = path(
        "folder of train: label errors, learning curve, augmented images, the probe's answers"
    )
    validation: Path = path("JSON file of validate, the verdict on the data")
    run: Path = path("JSON file of train: the MLflow run to go on with")


@dataclass(frozen=True)
class Outputs:
    """What evaluate writes."""

    predictions: Path = path("Parquet file, each test image exactly once with its probabilities")
    metrics: Path = path("JSON file of metrics with their intervals")
    latency: Path = path("JSON file of times measured on this machine; they differ each time")
    plots: Path = path("folder of CSV files for `dvc plots`", folder=True)
    report: Path = path("self-contained HTML page")
    labels: Path = path("self-contained HTML page on which a person mends labels")
    model_card: Path = path("Markdown file, the model card")


@dataclass(frozen=True)
class Params:
    """Section `evaluate` of params.yaml."""

    batch_size: Annotated[int, Between(1, 4096)] = param(64, "images in one forward pass")
    confidence: Annotated[float, Between(0.5, 0.999)] = param(0.95, "level of the intervals")
    resamples: Annotated[int, Between(100, 100_000)] = param(1000, "bootstrap resamples")
    top_k: Annotated[int, Between(1, 100)] = param(
        5,
        "an answer also counts as right among so many of the likeliest classes: top-k accuracy, "
        "of more classes than that",
    )
    min_slice_images: Annotated[int, Between(2)] = param(
        30, "slices of fewer test images are shown, never judged"
    )
    max_error: Annotated[float, Between(0, 1)] = param(
        0.02,
        "share of wrong answers allowed where the model is sure, kept at the level `confidence`; "
        "sets `unsure_below`",
    )
    max_error_of: dict[str, Annotated[float, Between(0, 1)]] = param(
        {},
        "the same for answers that name one class: class → share; those of each class named here "
        "get a threshold of their own, `*`: those of every class",
    )
    costs: dict[str, dict[str, Annotated[float, Between(0)]]] = param(
        {},
        "what mistakes cost: class → what it is taken for → cost, `*` for every other class; the "
        "answer with the lowest expected cost is given. Mistakes that are not named cost 1",
    )
    review_cost: Annotated[float, Between(0)] = param(
        0.0,
        "what it costs if a person looks; an answer that is expected to cost more is unsure; 0: "
        "the costs hand nothing over",
    )
    set_coverage: Annotated[float, Between(0.5, 0.999)] = param(
        0.95, "share of images whose set of classes is to hold the true one"
    )
    known_share: Annotated[float, Between(0.5, 0.999)] = param(
        0.95, "share of images of known kinds that pass as known; the others are called unknown"
    )
    robustness_images: Annotated[int, Between(0)] = param(
        128, "test images that are spoilt and judged again, see docs/evaluation.md; 0: none"
    )
    latency_runs: Annotated[int, Between(1, 10_000)] = param(
        30, "forward passes that are timed, of one image and of a batch"
    )
    mistakes_shown: Annotated[int, Between(0, 500)] = param(24, "worst mistakes shown as pictures")
    mlflow: Mlflow = shared(Mlflow)

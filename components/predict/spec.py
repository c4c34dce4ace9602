"""Ask a model about images: files and folders → a label and its probability for each image."""

from dataclasses import dataclass
from pathlib import Path

from components.common.settings.spec import param, path


@dataclass(frozen=True)
class Inputs:
    """What predict reads."""

    model: str = path("a model in the registry, `models:/darkroom@champion`, or a model.keras file")
    images: list[Path] = path("image files, folders of them, or @FILE with a path in each line")


@dataclass(frozen=True)
class Outputs:
    """What predict writes."""

    output: str = path("file for the answers, .csv or .parquet; `-`, the default, prints CSV")
    probabilities: bool = path("add a column for each class, with its probability")
    unsure_below: float | None = param(
        None,
        "an answer less probable than this is marked as unsure; by default the threshold that the "
        "registered model carries; 1: every answer",
    )
    sets: bool = param(
        False,
        "add a column `sets`, the classes that an image may be of, so that the true one is among "
        "them as often as evaluate.set_coverage says; a registered model carries the limits",
    )


@dataclass(frozen=True)
class Params:
    """Predict has no settings: the model carries its own."""

"""Ask a registered model about images: files and folders → one prediction an image."""

from dataclasses import dataclass
from pathlib import Path

from components.common.spec import path


@dataclass(frozen=True)
class Inputs:
    """What predict reads."""

    model: str = path("a model in the registry, `models:/darkroom@champion`, or a model.keras file")
    images: list[Path] = path("image files, or folders of them")


@dataclass(frozen=True)
class Outputs:
    """What predict writes."""

    predictions: Path = path("CSV or Parquet file; `-` prints CSV")


@dataclass(frozen=True)
class Params:
    """Predict has no settings: the model carries its own."""

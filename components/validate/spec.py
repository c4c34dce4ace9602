"""Check every image: a folder of images → manifest, quarantine and a verdict on the data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.common.spec import Between, param, path


@dataclass(frozen=True)
class Inputs:
    """What validate reads."""

    images: Path = path("folder of images in class folders, with or without given splits")


@dataclass(frozen=True)
class Outputs:
    """What validate writes."""

    manifest: Path = path("Parquet file, one row per file of the folder")
    validation: Path = path("JSON file: the verdict on the data, each expectation with its result")
    quarantine: Path = path("CSV file: each rejected file with its reason")
    data_docs: Path = path("folder for the Great Expectations site, index.html in it")


@dataclass(frozen=True)
class Params:
    """Section `validate` of params.yaml."""

    min_side_px: Annotated[int, Between(1)] = param(8, "an image narrower or lower is rejected, pixels")
    min_class_images: Annotated[int, Between(2)] = param(
        5, "a class with fewer usable images fails the stage"
    )

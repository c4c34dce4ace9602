"""Check every image: a folder of images → manifest, quarantine and a verdict on the data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.common.settings.spec import Between, Data, param, path, shared


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

    min_side_px: Annotated[int, Between(1)] = param(
        8, "a narrower or lower image is rejected, pixels"
    )
    max_megapixels: Annotated[float, Between(0.001, 89.4)] = param(
        89.0,
        "an image of more million pixels is rejected before it is decoded: a small file may "
        "claim to be huge",
    )
    max_quarantined: Annotated[float, Between(0, 1)] = param(
        0.2, "a greater share of rejected files fails the stage"
    )
    min_class_images: Annotated[int, Between(2)] = param(
        5, "a class with fewer usable images fails the stage"
    )
    max_imbalance: Annotated[float, Between(1)] = param(
        20.0, "images of the largest class by those of the smallest; more is reported"
    )
    min_contrast: Annotated[float, Between(0, 0.5)] = param(
        0.01, "standard deviation of luma, 0 to 0.5; less is blank"
    )
    min_brightness: Annotated[float, Between(0, 1)] = param(0.05, "mean luma, 0 to 1; less is dark")
    max_brightness: Annotated[float, Between(0, 1)] = param(
        0.98, "mean luma, 0 to 1; more is bright"
    )
    min_sharpness: Annotated[float, Between(0)] = param(
        20.0, "variance of the Laplacian at a longer side of 128 to 255 pixels; less is blurred"
    )
    max_aspect: Annotated[float, Between(1)] = param(3.0, "longer side by shorter; more is odd")
    max_class_shift: Annotated[float, Between(0)] = param(
        1.5,
        "distance of a class from the others in brightness or size, standard deviations; more is "
        "reported: a network would learn it instead of the object",
    )
    min_slice_images: Annotated[int, Between(1)] = param(
        20, "a value of a slice column with fewer usable images is reported"
    )
    reference_manifest: str = param(
        "", "an earlier manifest.parquet: what changed since is reported; empty: no comparison"
    )
    max_drift: Annotated[float, Between(0, 1)] = param(
        0.1,
        "effect size (Cramér's V, Kolmogorov-Smirnov distance) that is reported as drift",
    )
    examples_shown: Annotated[int, Between(0, 200)] = param(
        12, "pictures shown for each finding in the data docs"
    )
    data: Data = shared(Data)

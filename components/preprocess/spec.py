"""Split and shrink: manifest and images → leak-proof splits and shards ready to train on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from components.common.settings.spec import Between, Data, HexColour, param, path, shared


@dataclass(frozen=True)
class Inputs:
    """What preprocess reads."""

    images: Path = path("folder of images that the manifest describes")
    manifest: Path = path("Parquet file of validate, one row per file")


@dataclass(frozen=True)
class Outputs:
    """What preprocess writes."""

    splits: Path = path("Parquet file: which image is in which split, and why", carried=True)
    shards: Path = path("folder for the TFRecord shards; dataset.json comes last", folder=True)


@dataclass(frozen=True)
class Params:
    """Section `preprocess` of params.yaml."""

    size_px: Annotated[int, Between(32, 1024)] | Literal["auto"] = param(
        "auto", "side of the square images, pixels; auto: 224, or less where the originals are tiny"
    )
    resize: Literal["crop", "pad", "stretch"] = param("crop", "how an oblong image becomes square")
    background: Annotated[str, HexColour()] = param(
        "#ffffff", "colour behind transparent pixels and padding, #rrggbb"
    )
    grey_window: list[float] = param(
        [],
        "values of greys of more than 8 bits that become black and white, such as [0, 4095]; "
        "empty: what their type stands for, or their own range where they fill little of it",
    )
    val_fraction: Annotated[float, Between(0.01, 0.5)] = param(
        0.15, "share of images for validation"
    )
    test_fraction: Annotated[float, Between(0.01, 0.5)] = param(
        0.15, "share of images for the test"
    )
    leakage: Literal["warn", "exclude", "fail"] = param(
        "warn",
        "what becomes of copies and groups across given splits; exclude never touches test",
    )
    two_labels: Literal["exclude", "keep"] = param(
        "exclude", "what becomes of the same file under two labels"
    )
    redraw: bool = param(False, "draw all splits anew, whatever an earlier splits.parquet says")
    shard_mb: Annotated[int, Between(1, 4096)] = param(64, "size of a shard, MB")
    data: Data = shared(Data)

    def __post_init__(self) -> None:
        """Refuse fractions that leave nothing to train on, and a window that is none."""
        if self.val_fraction + self.test_fraction > 0.9:
            raise ValueError("such that val_fraction + test_fraction is 0.9 or less")
        if self.grey_window and (
            len(self.grey_window) != 2 or not self.grey_window[0] < self.grey_window[1]
        ):
            raise ValueError("such that grey_window is [] or [black, white], black below white")

"""Check every image: a folder of images → manifest, quarantine and a verdict on the data."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from components.common.settings.spec import Between, Data, param, path, section, shared

# Files that lie beside photographs and are none: notes, labels, tables, films of live photos.
SIDE_FILES = [
    *("*.xml", "*.json", "*.jsonl", "*.txt", "*.csv", "*.tsv", "*.parquet", "*.yaml", "*.yml"),
    "*.lst",
    *("*.md", "*.html", "*.htm", "*.url", "*.log", "*.db", "*.ini", "*.xmp", "*.aae", "*.thm"),
    *("*.mat", "*.npy", "*.npz", "*.pkl", "*.xls", "*.xlsx", "*.ods", "*.mov", "*.mp4"),
    *("*.part", "*.crdownload", "*.tmp", "lost+found/"),
]


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
    data_docs: Path = path("folder for the Great Expectations site, index.html in it", folder=True)


@dataclass(frozen=True)
class LabelPattern:
    """A regular expression with a group for the label, or an empty text."""

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with the legal form."""
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"must be a regular expression ({error})") from None
        if value and not (
            pattern.groups and set(pattern.groupindex) <= {"label", "split", "group"}
        ):
            raise ValueError(
                "must be a regular expression with a group in brackets, the label, or with groups "
                "named (?P<label>…), (?P<split>…), (?P<group>…)"
            )
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class LayoutSettings:
    """Which files are examples, and what says their classes and splits; see docs/data.md."""

    splits: Literal["auto", "none"] | dict[str, Literal["train", "val", "test"]] = param(
        "auto",
        "which top folders are splits: auto, by their names; none; or a mapping, folder: split; "
        "with split_column a mapping of what stands in it",
    )
    class_depth: Annotated[int, Between(1, 9)] | Literal["all"] = param(
        1, "folders that make a class's name: 1 cat, 2 animal/cat; all: every folder"
    )
    label_pattern: Annotated[str, LabelPattern()] = param(
        "",
        "regular expression, sought in the path: its group is the label, before what folders say; "
        "groups named label, split, group say those",
    )
    ignore: list[str] = param(SIDE_FILES, "patterns of files and folders/ that are no examples")
    table: str = param(
        "auto",
        "table in the folder that tells of the images: auto, none, its path, or a pattern of one "
        "for each split, labels_*.csv",
    )
    path_column: str = param("", "its column of file names; empty: by its name, or guessed")
    label_column: str = param("", "its column of labels; empty: by its name, or guessed")
    split_column: str = param("", "its column of splits; empty: by its name")
    group_column: str = param("", "its column of groups; empty: `group`")
    path_pattern: str = param(
        "", "how a row names its file, columns in braces: IMG_{id}.jpg; empty: by path_column"
    )


@dataclass(frozen=True)
class ClassSettings:
    """Which classes are used, and under which names; the data is not touched."""

    include: list[str] = param([], "classes to use, names or patterns such as sh*; empty: all")
    exclude: list[str] = param([], "classes to leave out, names or patterns")
    rename: dict[str, str] = param({}, "old name: new name; several with one new name are merged")
    min_images: Annotated[int, Between(0)] = param(
        0, "a class of fewer usable images is left out; 0: none is"
    )


@dataclass(frozen=True)
class Params:
    """Section `validate` of params.yaml."""

    layout: LayoutSettings = section(LayoutSettings, "what is a class, what is a split")
    classes: ClassSettings = section(ClassSettings, "which classes are used")
    copies: Literal["changed", "bytes"] = param(
        "changed",
        "which files show the same picture, so that no two splits get one: changed copies too "
        "(saved again, cut, turned, mirrored, captioned); bytes: only the same file",
    )
    min_side_px: Annotated[int, Between(1)] = param(
        8, "a narrower or lower image is rejected, pixels"
    )
    max_megapixels: Annotated[float, Between(0.001, 1000)] = param(
        120.0,
        "an image of more million pixels is rejected before it is decoded: a small file may "
        "claim to be huge",
    )
    max_decode_seconds: Annotated[float, Between(0.1, 3600)] = param(
        60.0, "a file that takes a core longer is rejected, seconds; its process is ended"
    )
    max_decode_mb: Annotated[float, Between(64)] = param(
        2048.0, "a file that takes more memory while it is decoded is rejected, MiB (on Linux)"
    )
    frames: Literal["reject", "first"] = param(
        "reject",
        "what becomes of animations and files of several pages; first: their first frame is used",
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

"""What is expected of the data, built from params.yaml: what must hold and what should."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import OK

if TYPE_CHECKING:
    from components.validate.spec import Params

CRITICAL = "critical"  # fails the stage
WARNING = "warning"  # is reported, and the status says so
NOTE = "note"  # is reported; the pipeline deals with it


@dataclass(frozen=True)
class Expectation:
    """One expectation on a column of the signs, in Great Expectations' terms and in ours."""

    kind: str  # short name; the finding has it too
    name: str  # what holds if it is met
    severity: str
    gx: str  # class in great_expectations.expectations
    arguments: dict[str, Any]
    broken: str  # what those are that do not meet it; their count is put behind it
    advice: str


@dataclass(frozen=True)
class Result:
    """One expectation, met or not."""

    name: str
    kind: str
    severity: str
    success: bool
    observed: str  # what was found, as Great Expectations says it
    unexpected_count: int  # files that do not meet it
    examples: list[str] = field(default_factory=list)  # paths of some of them


def create_expectations(params: Params) -> list[Expectation]:
    """Return the suite; a rejected file has no signs, so most of it looks at usable ones alone."""
    return [*_expect_enough(params), *_expect_no_doubles(params), *_expect_good(params)]


def _expect_enough(params: Params) -> list[Expectation]:
    return [
        Expectation(
            "too many rejected",
            "most files are usable",
            CRITICAL,
            "ExpectColumnValuesToBeInSet",
            {"column": "status", "value_set": [OK], "mostly": 1 - params.max_quarantined},
            f"rejected files, more than {params.max_quarantined:.0%}",
            "see why in quarantine.csv; mend them, or raise validate.max_quarantined",
        ),
        Expectation(
            "rejected",
            "every file is usable",
            WARNING,
            "ExpectColumnValuesToBeInSet",
            {"column": "status", "value_set": [OK]},
            "rejected files",
            "quarantine.csv says why; they stay where they are and are not used",
        ),
        Expectation(
            "one class",
            "there are two classes or more",
            CRITICAL,
            "ExpectColumnUniqueValueCountToBeBetween",
            {"column": "label", "min_value": 2},
            "usable classes",
            "a classifier needs two; data.source must be the folder that holds the class folders",
        ),
        Expectation(
            "class too small",
            "every class has enough images",
            CRITICAL,
            "ExpectColumnValuesToBeBetween",
            {"column": "class_images", "min_value": params.min_class_images},
            f"classes with fewer than {params.min_class_images} usable images",
            "add images, remove the class, or lower validate.min_class_images",
        ),
    ]


def _expect_no_doubles(params: Params) -> list[Expectation]:
    between, bits = "ExpectColumnValuesToBeBetween", params.near_duplicate_bits
    return [
        Expectation(
            "two labels",
            "no picture has two labels",
            WARNING,
            between,
            {"column": "labels", "max_value": 1},
            "images that show a picture found under another label too",
            "one of the labels is wrong: remove that file, or correct it in metadata.csv",
        ),
        Expectation(
            "leakage",
            "no picture is in two given splits",
            WARNING,
            between,
            {"column": "splits", "max_value": 1},
            "images that show a picture found in another given split too",
            "a test on what was trained on flatters; see preprocess.leakage",
        ),
        Expectation(
            "exact duplicates",
            "no file is there twice",
            WARNING,
            between,
            {"column": "copies", "max_value": 1},
            "files with the same bytes as another",
            "preprocess never puts copies into two splits of its own",
        ),
        Expectation(
            "near-duplicates",
            "no two pictures look the same",
            WARNING,
            between,
            {"column": "lookalikes", "max_value": 0},
            f"images that look like another (at most {bits} of 64 bits of their hashes differ)",
            "preprocess never puts them into two splits of its own",
        ),
    ]


def _expect_good(params: Params) -> list[Expectation]:
    between, in_set = "ExpectColumnValuesToBeBetween", "ExpectColumnValuesToBeInSet"
    look = "look at them: can you tell the class yourself?"
    return [
        Expectation(
            "blank",
            "no image is blank",
            WARNING,
            between,
            {"column": "contrast", "min_value": params.min_contrast},
            "blank images",
            look,
        ),
        Expectation(
            "exposure",
            "no image is too dark or too bright",
            WARNING,
            between,
            {
                "column": "brightness",
                "min_value": params.min_brightness,
                "max_value": params.max_brightness,
            },
            "images that are too dark or too bright",
            look,
        ),
        Expectation(
            "blurred",
            "no image is blurred",
            WARNING,
            between,
            {"column": "sharpness", "min_value": params.min_sharpness},
            "blurred images",
            look,
        ),
        Expectation(
            "odd proportions",
            "no image is very long",
            WARNING,
            between,
            {"column": "aspect", "max_value": params.max_aspect},
            f"images whose longer side is more than {params.max_aspect:g} times the shorter",
            "they lose much when they become square; see preprocess.resize",
        ),
        Expectation(
            "misnamed",
            "file names say the true format",
            WARNING,
            in_set,
            {"column": "suffix_fits", "value_set": [1]},
            "files named as another format than they hold",
            "they are read by what they hold; other programs may refuse them",
        ),
        Expectation(
            "stored turned",
            "images are stored upright",
            NOTE,
            in_set,
            {"column": "exif_orientation", "value_set": [1]},
            "images stored turned, with a flag that says so",
            "preprocess turns them upright",
        ),
    ]

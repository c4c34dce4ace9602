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
# Classes in great_expectations.expectations that several expectations are made of.
BETWEEN, IN_SET = "ExpectColumnValuesToBeBetween", "ExpectColumnValuesToBeInSet"


@dataclass(frozen=True, kw_only=True)
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
            kind="too many rejected",
            name="most files are usable",
            severity=CRITICAL,
            gx=IN_SET,
            arguments={"column": "status", "value_set": [OK], "mostly": 1 - params.max_quarantined},
            broken=f"rejected files, more than {params.max_quarantined:.0%}",
            advice="see why in quarantine.csv; mend them, or raise validate.max_quarantined",
        ),
        Expectation(
            kind="rejected",
            name="every file is usable",
            severity=WARNING,
            gx=IN_SET,
            arguments={"column": "status", "value_set": [OK]},
            broken="rejected files",
            advice="quarantine.csv says why; they stay where they are and are not used",
        ),
        Expectation(
            kind="one class",
            name="there are two classes or more",
            severity=CRITICAL,
            gx="ExpectColumnUniqueValueCountToBeBetween",
            arguments={"column": "label", "min_value": 2},
            broken="usable classes",
            advice="a classifier needs two: the folders of the classes must lie at the top of the "
            "folder; where they lie deeper, copy the folder that holds them out of data/images, "
            "such as to data/photos, and name that in data.source",
        ),
        Expectation(
            kind="class too small",
            name="every class has enough images",
            severity=CRITICAL,
            gx=BETWEEN,
            arguments={"column": "class_images", "min_value": params.min_class_images},
            broken=f"classes with fewer than {params.min_class_images} usable images",
            advice="add images, remove the class, or lower validate.min_class_images",
        ),
    ]


def _expect_no_doubles(params: Params) -> list[Expectation]:
    return [
        Expectation(
            kind="two labels",
            name="no picture has two labels",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "labels", "max_value": 1},
            broken="images that show a picture found under another label too",
            advice="one of the labels is wrong: remove that file, or use reports/labels.html",
        ),
        Expectation(
            kind="leakage",
            name="no picture is in two given splits",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "splits", "max_value": 1},
            broken="images that show a picture found in another given split too",
            advice="a test on what was trained on flatters; see preprocess.leakage",
        ),
        Expectation(
            kind="exact duplicates",
            name="no file is there twice",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "copies", "max_value": 1},
            broken="files with the same bytes as another",
            advice="preprocess never puts copies into two splits of its own",
        ),
        Expectation(
            kind="near-duplicates",
            name="no two pictures look the same",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "lookalikes", "max_value": 0},
            broken="images that show the same picture as another, saved again, cut, turned, "
            "mirrored or captioned",
            advice="preprocess never puts them into two splits of its own",
        ),
    ]


def _expect_good(params: Params) -> list[Expectation]:
    look = "look at them: can you tell the class yourself?"
    return [
        Expectation(
            kind="blank",
            name="no image is blank",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "contrast", "min_value": params.min_contrast},
            broken="blank images",
            advice=look,
        ),
        Expectation(
            kind="exposure",
            name="no image is too dark or too bright",
            severity=WARNING,
            gx=BETWEEN,
            arguments={
                "column": "brightness",
                "min_value": params.min_brightness,
                "max_value": params.max_brightness,
            },
            broken="images that are too dark or too bright",
            advice=look,
        ),
        Expectation(
            kind="blurred",
            name="no image is blurred",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "sharpness", "min_value": params.min_sharpness},
            broken="blurred images",
            advice=look,
        ),
        Expectation(
            kind="odd proportions",
            name="no image is very long",
            severity=WARNING,
            gx=BETWEEN,
            arguments={"column": "aspect", "max_value": params.max_aspect},
            broken=f"images whose longer side is more than {params.max_aspect:g} times the shorter",
            advice="they lose much when they become square; see preprocess.resize",
        ),
        Expectation(
            kind="misnamed",
            name="file names say the true format",
            severity=WARNING,
            gx=IN_SET,
            arguments={"column": "suffix_fits", "value_set": [1]},
            broken="files named as another format than they hold",
            advice="they are read by what they hold; other programs may refuse them",
        ),
        Expectation(
            kind="stored turned",
            name="images are stored upright",
            severity=NOTE,
            gx=IN_SET,
            arguments={"column": "exif_orientation", "value_set": [1]},
            broken="images stored turned, with a flag that says so",
            advice="preprocess turns them upright",
        ),
    ]

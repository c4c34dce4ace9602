"""The Great Expectations suite: what must hold (critical), and what should (warning)."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.manifest import OK

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params

NAME = "images"
CRITICAL, WARNING = "critical", "warning"
SIGNS = ("aspect", "class_images", "copies", "labels_of_copies", "lookalikes", "splits_of_copies")


@dataclass(frozen=True)
class Result:
    """One expectation, met or not."""

    name: str
    severity: str  # critical or warning
    success: bool
    unexpected: int  # rows that do not meet it
    examples: list[str]  # paths of some of them
    advice: str  # what it means, and what to do


def create_expectations(params: Params) -> list[tuple[str, str, str, str, dict[str, Any]]]:
    """Return what the suite expects: name, advice, severity, type of expectation, its arguments.

    All but the first two look at the usable images alone.
    """
    between, in_set = "ExpectColumnValuesToBeBetween", "ExpectColumnValuesToBeInSet"
    return [
        (
            "most files are usable",
            "see quarantine.csv for the reasons; raise validate.max_quarantined if that is meant",
            CRITICAL,
            in_set,
            {"column": "status", "value_set": [OK], "mostly": 1 - params.max_quarantined},
        ),
        (
            "every file is usable",
            "rejected files are left out; quarantine.csv holds the reasons",
            WARNING,
            in_set,
            {"column": "status", "value_set": [OK]},
        ),
        (
            "every image has a label",
            "put it into a class folder, or name its label in metadata.csv",
            CRITICAL,
            "ExpectColumnValueLengthsToBeBetween",
            {"column": "label", "min_value": 1},
        ),
        (
            "there are two classes or more",
            "a classifier needs two; check that data.source is the folder that holds the class folders",
            CRITICAL,
            "ExpectColumnUniqueValueCountToBeBetween",
            {"column": "label", "min_value": 2},
        ),
        (
            "every class has enough images",
            "add images to it, remove it, or lower validate.min_class_images",
            CRITICAL,
            between,
            {"column": "class_images", "min_value": params.min_class_images},
        ),
        (
            "no picture has two labels",
            "the same file lies in two classes; remove it from the wrong one",
            WARNING,
            between,
            {"column": "labels_of_copies", "max_value": 1},
        ),
        (
            "no picture is in two given splits",
            "training would see what it is tested on; preprocess leaves it out of the earlier split",
            WARNING,
            between,
            {"column": "splits_of_copies", "max_value": 1},
        ),
        (
            "no file is there twice",
            "copies stay together in one split",
            WARNING,
            between,
            {"column": "copies", "max_value": 1},
        ),
        (
            "no two pictures look the same",
            "near-duplicates stay together in one split",
            WARNING,
            between,
            {"column": "lookalikes", "max_value": 0},
        ),
        (
            "proportions are plain",
            "very long images lose much when they become square; see preprocess.resize",
            WARNING,
            between,
            {"column": "aspect", "max_value": params.max_aspect},
        ),
        (
            "no image is dark or blank",
            "look at them: can you tell the class yourself?",
            WARNING,
            between,
            {
                "column": "brightness",
                "min_value": params.min_brightness,
                "max_value": params.max_brightness,
            },
        ),
        (
            "no image is blurred",
            "look at them: can you tell the class yourself?",
            WARNING,
            between,
            {"column": "sharpness", "min_value": params.min_sharpness},
        ),
    ]


def run_expectations(
    manifest: pd.DataFrame, usable: pd.DataFrame, params: Params, docs: Path
) -> list[Result]:
    """Validate the manifest with Great Expectations and write its Data Docs site.

    Args:
        manifest: all files.
        usable: the usable ones with their signs, of `signs.add_signs`.
        params: of the room.
        docs: empty folder that receives the site.
    """
    gx = _import_great_expectations()
    frames = {"files": manifest, "usable images": usable}
    wanted = create_expectations(params)
    asked = {"files": wanted[:2], "usable images": wanted[2:]}
    with tempfile.TemporaryDirectory(prefix="darkroom-gx-") as place:
        context = gx.get_context(mode="file", project_root_dir=place)
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_or_update_pandas(NAME)
        results = []
        for asset, frame in frames.items():
            results += _run_suite(gx, context, source, asset, frame, asked[asset])
        site = Path(place) / "gx" / "uncommitted" / "data_docs" / "local_site"
        shutil.copytree(site, docs, dirs_exist_ok=True)
    return results


def _run_suite(
    gx: Any, context: Any, source: Any, asset: str, frame: pd.DataFrame, wanted: list[Any]
) -> list[Result]:
    batch = source.add_dataframe_asset(asset).add_batch_definition_whole_dataframe(asset)
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=asset))
    for name, advice, severity, kind, arguments in wanted:
        create = getattr(gx.expectations, kind)
        suite.add_expectation(
            create(severity=severity, notes=f"{name}: {advice}", meta={"name": name}, **arguments)
        )
    validation = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=asset, data=batch, suite=suite)
    )
    checkpoint = context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=asset,
            validation_definitions=[validation],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="data docs")],
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["path"],
            },
        )
    )
    found = checkpoint.run(batch_parameters={"dataframe": frame})
    by_name = {}
    for run in found.run_results.values():
        for result in run.results:
            by_name[result.expectation_config.meta["name"]] = result
    return [
        _to_result(name, severity, advice, by_name[name]) for name, advice, severity, _, _ in wanted
    ]


def _to_result(name: str, severity: str, advice: str, found: Any) -> Result:
    if found.exception_info.get("raised_exception"):
        raise RuntimeError(f"expectation {name!r}: {found.exception_info['exception_message']}")
    rows = found.result.get("unexpected_index_list") or []
    return Result(
        name=name,
        severity=severity,
        success=bool(found.success),
        unexpected=int(found.result.get("unexpected_count") or 0),
        examples=[str(row["path"]) for row in rows[:10]],
        advice=advice,
    )


def _import_great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    warnings.filterwarnings("ignore", module="great_expectations")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations

    return great_expectations

"""What the earlier rooms know of each test image: its row in the manifest, its group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import read_manifest
from components.common.artifacts.predictions import Predictions, read_predictions
from components.common.artifacts.splits import read_splits
from components.common.errors import DarkroomError
from components.common.files.writing import read_json

if TYPE_CHECKING:
    import pandas as pd


def read_rows(file: Path, predictions: Predictions) -> pd.DataFrame:
    """Return the manifest's rows of the images, in their order."""
    rows = read_manifest(file).set_index("path", drop=False)
    _check_paths(file, predictions, set(rows.index), "validate")
    return rows.loc[predictions.paths].reset_index(drop=True)


def read_groups(file: Path, predictions: Predictions) -> list[str]:
    """Return the name of each image's group; near-duplicates share one."""
    names = read_splits(file, ("path", "group_id")).set_index("path")["group_id"]
    _check_paths(file, predictions, set(names.index), "preprocess")
    return [str(name) for name in names.loc[predictions.paths]]


def read_places(file: Path) -> dict[str, str]:
    """Return path → split of the images in use."""
    table = read_splits(file, ("path", "split"))
    table = table[table["split"].notna()]
    return dict(zip(table["path"], table["split"], strict=True))


def read_earlier(file: Path) -> dict[str, Any]:
    """Return what the evaluation before this one wrote into metrics.json; empty: there is none."""
    try:
        found = read_json(file)
    except DarkroomError:  # damaged: it is about to be replaced, and nothing depends on it
        return {}
    return found if isinstance(found, dict) else {}


def read_probe(file: Path, predictions: Predictions) -> Predictions:
    """Return what the probe says of the same images."""
    probe = read_predictions(file, "train")
    same = (probe.paths, probe.sha256, probe.class_names) == (
        predictions.paths,
        predictions.sha256,
        predictions.class_names,
    )
    if not same:
        raise DarkroomError(f"{file}: the probe answered for other test images; run train again")
    return probe


def _check_paths(file: Path, predictions: Predictions, known: set[str], stage: str) -> None:
    strange = [path for path in predictions.paths if path not in known]
    if strange:
        raise DarkroomError(
            f"{file}: has no row for {len(strange):,} of {len(predictions):,} test images (the "
            f"first: {strange[0]}); run {stage} again, then preprocess and train"
        )

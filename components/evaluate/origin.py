"""What the earlier rooms know of each test image: its row in the manifest, its group."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.bootstrap import number_groups
from components.common.errors import DarkroomError
from components.common.manifest import read_manifest
from components.common.reports import Predictions, read_predictions

if TYPE_CHECKING:
    import pandas as pd


def read_rows(file: Path, predictions: Predictions) -> pd.DataFrame:
    """Return the manifest's rows of the images, in their order."""
    rows = read_manifest(file).set_index("path", drop=False)
    _check_paths(file, predictions, set(rows.index), "validate")
    return rows.loc[predictions.paths].reset_index(drop=True)


def read_groups(file: Path, predictions: Predictions) -> np.ndarray:
    """Return the number of each image's group, int64 (images,); near-duplicates share one."""
    import pandas as pd

    try:
        table = pd.read_parquet(file, columns=["path", "group_id"])
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no splits there; run preprocess first") from None
    except (OSError, ValueError) as error:
        raise DarkroomError(f"{file}: not readable ({error}); run preprocess again") from None
    names = table.set_index("path")["group_id"]
    _check_paths(file, predictions, set(names.index), "preprocess")
    return number_groups(names.loc[predictions.paths].astype(str).to_numpy())


def read_probe(file: Path, predictions: Predictions) -> Predictions:
    """Return what the probe says of the same images."""
    probe = read_predictions(file)
    same = (probe.paths, probe.sha256, probe.class_names) == (
        predictions.paths,
        predictions.sha256,
        predictions.class_names,
    )
    if not same:
        raise DarkroomError(f"{file}: the probe answered for other test images; run train again")
    return probe


def read_suspects(file: Path) -> list[dict[str, Any]]:
    """Return the rows of label_issues.csv, the most suspicious image first."""
    import pandas as pd

    try:
        table = pd.read_csv(file, dtype={"path": str, "label": str, "suggested": str})
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no list of label issues there; run train first") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{file}: not a readable CSV file ({error}); run train again") from None
    missing = {"path", "split", "label", "suggested", "score"} - set(table.columns)
    if missing:
        raise DarkroomError(f"{file}: lacks {', '.join(sorted(missing))}; run train again")
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows


def encode_file(file: Path) -> str:
    """Return a PNG file as a data URI."""
    try:
        return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no picture there; run train first") from None


def _check_paths(file: Path, predictions: Predictions, known: set[str], stage: str) -> None:
    strange = [path for path in predictions.paths if path not in known]
    if strange:
        raise DarkroomError(
            f"{file}: has no row for {len(strange):,} of {len(predictions):,} test images (the "
            f"first: {strange[0]}); run {stage} again, then preprocess and train"
        )

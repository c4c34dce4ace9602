"""Which test images stay with a version, for the check of the served model."""

from __future__ import annotations

from pathlib import Path

from components.common.artifacts.predictions import Predictions
from components.common.artifacts.sample import Sample, choose_rows, count_wanted
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256

MAX_BYTES = 8_000_000  # of one image: the sample is kept with every version


def take_sample(folder: Path, predictions: Predictions, count: int) -> Sample:
    """Return some test images as they lie in the folder.

    Which ones is decided by their digests: at random, but the same ones each time.

    Raises:
        DarkroomError: if one is missing, or is not the image that was measured.
    """
    rows: list[int] = []
    for row in choose_rows(predictions.sha256, count_wanted(count)):
        if len(rows) == count:
            break
        file = folder / predictions.paths[row]
        if not file.is_file():
            raise DarkroomError(
                f"{file}: this test image is not there, so the served model cannot be checked; "
                "bring the images back, or run the pipeline again"
            )
        if file.stat().st_size > MAX_BYTES:
            continue
        if compute_sha256(file) != predictions.sha256[row]:
            raise DarkroomError(
                f"{file}: is not the image that was measured (its sha256 changed); run the "
                "pipeline again"
            )
        rows.append(row)
    return Sample(
        predictions.class_names,
        [predictions.paths[row] for row in rows],
        [(folder / predictions.paths[row]).read_bytes() for row in rows],
        predictions.probabilities[rows],
    )

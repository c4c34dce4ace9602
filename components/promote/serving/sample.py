"""Some test images with the answers that evaluate measured; they stay with the version."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.common.artifacts.predictions import PROBABILITY, Predictions
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256, writing

MAX_BYTES = 8_000_000  # of one image: the sample is kept with every version


@dataclass(frozen=True)
class Sample:
    """Encoded images and what the model said of them."""

    class_names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (images, classes)


def take_sample(folder: Path, predictions: Predictions, count: int) -> Sample:
    """Return some test images as they lie in the folder.

    Which ones is decided by their digests: at random, but the same ones each time.

    Raises:
        DarkroomError: if one is missing, or is not the image that was measured.
    """
    order = sorted(range(len(predictions)), key=lambda row: predictions.sha256[row])
    rows: list[int] = []
    for row in order:
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


def write_sample(file: Path, sample: Sample) -> None:
    """Write a sample as Parquet: path, image (bytes), a probability for each class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"path": pa.array(sample.paths, pa.string())}
    columns["image"] = pa.array(sample.images, pa.binary())
    for position, name in enumerate(sample.class_names):
        columns[f"{PROBABILITY}{name}"] = pa.array(sample.probabilities[:, position], pa.float64())
    with writing(file) as temporary:
        pq.write_table(pa.table(columns), temporary)


def read_sample(file: Path) -> Sample:
    """Read what :func:`write_sample` wrote."""
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    names = [name for name in table.column_names if name.startswith(PROBABILITY)]
    return Sample(
        [name.removeprefix(PROBABILITY) for name in names],
        table["path"].to_pylist(),
        table["image"].to_pylist(),
        np.stack([table[name].to_numpy() for name in names], axis=1),
    )

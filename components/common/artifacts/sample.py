"""The table sample.parquet: test images with the answers that evaluate measured, of a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.common.artifacts.predictions import PROBABILITY
from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.tables import mark_table, read_mark
from components.common.files.writing import writing

SCHEMA = Schema("sample", stage="promote")
MEASURED = 400  # test images that tell what the data looked like: enough to see a small shift
MORE = 4  # times as many are looked at as are kept: some are too large for that


def count_wanted(served: int) -> int:
    """Return how many test images promote looks at, if it sends some to the served model."""
    return max(MEASURED, MORE * served)


def choose_rows(sha256: Sequence[str], count: int) -> list[int]:
    """Return so many rows of the test images: at random, but the same ones each time."""
    return sorted(range(len(sha256)), key=lambda row: sha256[row])[:count]


@dataclass(frozen=True)
class Sample:
    """Encoded images and what the model said of them."""

    class_names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (images, classes)


def write_sample(file: Path, sample: Sample) -> None:
    """Write a sample as Parquet: path, image (bytes), a probability for each class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"path": pa.array(sample.paths, pa.string())}
    columns["image"] = pa.array(sample.images, pa.binary())
    for position, name in enumerate(sample.class_names):
        columns[f"{PROBABILITY}{name}"] = pa.array(sample.probabilities[:, position], pa.float64())
    with writing(file) as temporary:
        pq.write_table(mark_table(pa.table(columns), SCHEMA), temporary)


def read_sample(file: Path) -> Sample:
    """Read what :func:`write_sample` wrote.

    Raises:
        DarkroomError: if it is damaged, no sample, or of another form.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
        SCHEMA.check(file, read_mark(table.schema))
        names = [name for name in table.column_names if name.startswith(PROBABILITY)]
        return Sample(
            [name.removeprefix(PROBABILITY) for name in names],
            table["path"].cast(pa.string()).to_pylist(),
            table["image"].cast(pa.binary()).to_pylist(),
            np.stack([table[name].cast(pa.float64()).to_numpy() for name in names], axis=1),
        )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DarkroomError(
            f"{file}: not a readable sample of a version ({error}); promote again"
        ) from None

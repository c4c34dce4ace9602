"""history.csv: the history of a training run, one row an epoch, the probe first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.files.tables import read_table
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd

PROBE = "probe"  # phase of the first row; all others are `fine-tune`
COLUMNS = (  # that a reader relies on
    "phase",
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "is_best",  # the row whose weights were kept
)


@dataclass(frozen=True)
class Epoch:
    """One row: what an epoch did, and how good the network was after it."""

    phase: str  # probe or fine-tune
    epoch: int  # 0 for the probe, then 1, 2, …
    learning_rate: float | None  # at the end of the epoch; the probe has none
    train_loss: float  # with label smoothing and augmentation where they are set
    train_accuracy: float
    val_loss: float  # plain cross-entropy on images as they are, nats
    val_accuracy: float
    seconds: float
    images_per_second: float | None = None  # of training; for the probe of all that it did
    blend: float | None = None  # share of fine-tuned weights, where they are blended with the probe

    def as_metrics(self) -> dict[str, float]:
        """Return the numbers to track, the absent ones left out."""
        numbers = {
            key: value for key, value in asdict(self).items() if key not in ("phase", "epoch")
        }
        return {key: float(value) for key, value in numbers.items() if value is not None}


def write_history(file: Path, epochs: Sequence[Epoch], kept: Epoch | None = None) -> None:
    """Write the history as CSV; the column `is_best` marks the row whose weights were kept.

    While the network trains there is none: what :func:`read_history` then refuses, plots may show.
    """
    with writing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        names = [field.name for field in fields(Epoch)]
        table = csv.DictWriter(stream, [*names, "is_best"])
        table.writeheader()
        for epoch in epochs:
            table.writerow(asdict(epoch) | {"is_best": int(epoch is kept)})


def read_history(file: Path) -> pd.DataFrame:
    """Read history.csv; raise DarkroomError where it is missing or of another form."""
    history = read_table(file, "history", COLUMNS, "train", form="csv")
    if history.empty:
        raise DarkroomError(f"{file}: holds no epoch; run train again")
    history = history.assign(is_best=history["is_best"].astype(bool))
    if not history["is_best"].any():
        raise DarkroomError(
            f"{file}: is of a training that has not ended; run train again, it goes on from there"
        )
    return history

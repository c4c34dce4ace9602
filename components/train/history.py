"""The history of a training run: one row an epoch, the probe first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from components.common.files import writing


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

    @property
    def rank(self) -> tuple[float, float]:
        """How good it is; greater is better."""
        return self.val_accuracy, -self.val_loss

    def as_metrics(self) -> dict[str, float]:
        """Return the numbers to track, the absent ones left out."""
        numbers = {
            key: value for key, value in asdict(self).items() if key not in ("phase", "epoch")
        }
        return {key: float(value) for key, value in numbers.items() if value is not None}


def find_best(epochs: Sequence[Epoch]) -> Epoch:
    """Return the best epoch by validation; of equals the earliest."""
    return max(epochs, key=lambda epoch: epoch.rank)


def write_history(file: Path, epochs: Sequence[Epoch]) -> None:
    """Write the history as CSV; the column `is_best` marks the row whose weights were kept."""
    best = find_best(epochs)
    with writing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        names = [field.name for field in fields(Epoch)]
        table = csv.DictWriter(stream, [*names, "is_best"])
        table.writeheader()
        for epoch in epochs:
            table.writerow(asdict(epoch) | {"is_best": int(epoch is best)})

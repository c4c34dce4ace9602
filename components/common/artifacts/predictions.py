"""predictions.parquet: what a model says of the test images, written by train and evaluate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.tables import read_table, write_parquet
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = Schema("predictions", stage="evaluate")
# Columns: path, sha256, label, predicted (class names), correct, probability (of predicted), group
# where it is known, then for each class its probability and its logit. No name before them begins
# with such a prefix.
PROBABILITY, LOGIT, GROUP = "p_", "z_", "group"


@dataclass(frozen=True)
class Predictions:
    """What a model says of the images of one split, sorted by path."""

    class_names: list[str]  # position = label = column
    paths: list[str]
    sha256: list[str]
    labels: np.ndarray  # int64 (images,): what they are
    logits: np.ndarray  # float32 (images, classes), before the temperature
    probabilities: np.ndarray  # float64 (images, classes), calibrated, rows summing to 1
    groups: list[str] = field(default_factory=list)  # of each image; empty: not known
    decided: np.ndarray | None = None  # int64 (images,): what is answered; None: the likeliest

    def __len__(self) -> int:
        """The number of images."""
        return len(self.paths)

    @property
    def predicted(self) -> np.ndarray:
        """The class that each image is taken for, int64 (images,)."""
        likeliest = np.asarray(self.probabilities.argmax(axis=1))
        return likeliest if self.decided is None else self.decided

    @property
    def correct(self) -> np.ndarray:
        """Whether each image is taken for what it is, bool (images,)."""
        return np.asarray(self.predicted == self.labels)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, float64 (images,)."""
        return np.asarray(self.probabilities[np.arange(len(self)), self.predicted])


def write_predictions(file: Path, predictions: Predictions) -> None:
    """Write predictions.parquet, whole or not at all."""
    with writing(file) as temporary:
        write_parquet(temporary, create_table(predictions), SCHEMA)


def create_table(predictions: Predictions) -> pd.DataFrame:
    """Return the table of predictions.parquet: one row an image."""
    import pandas as pd

    names = np.array(predictions.class_names, dtype=object)
    columns: dict[str, object] = {
        "path": predictions.paths,
        "sha256": predictions.sha256,
        "label": names[predictions.labels],
        "predicted": names[predictions.predicted],
        "correct": predictions.correct,
        "probability": predictions.confidence,
    }
    if predictions.groups:
        columns[GROUP] = predictions.groups
    for prefix, values in ((PROBABILITY, predictions.probabilities), (LOGIT, predictions.logits)):
        columns |= {f"{prefix}{name}": values[:, i] for i, name in enumerate(names)}
    return pd.DataFrame(columns)


def read_predictions(file: Path, stage: str = SCHEMA.stage) -> Predictions:
    """Read predictions.parquet; raise DarkroomError where it is missing or damaged.

    Args:
        file: what the model says, or in the same form what the probe of train says.
        stage: that wrote it, for messages.
    """
    needed = ("path", "sha256", "label")
    table = read_table(file, "table of predictions", needed, stage, schema=SCHEMA)
    names = [str(c).removeprefix(PROBABILITY) for c in table if str(c).startswith(PROBABILITY)]
    logits = [f"{LOGIT}{name}" for name in names]
    missing = set(logits) - set(table.columns)
    if missing or not names:
        lacking = ", ".join(sorted(missing)) or f"{PROBABILITY}<class>"
        raise DarkroomError(f"{file}: predictions lack {lacking}; run {stage} again")
    positions = {name: position for position, name in enumerate(names)}
    strange = sorted({str(label) for label in table["label"] if label not in positions})
    if strange:
        raise DarkroomError(
            f"{file}: labels without a column of probabilities: {', '.join(strange[:5])}; run "
            f"{stage} again"
        )
    decided = table["predicted"].map(positions) if "predicted" in table else None
    if decided is not None and decided.isna().any():
        raise DarkroomError(f"{file}: answers that are no class of it; run {stage} again")
    try:
        probabilities = table[[f"{PROBABILITY}{name}" for name in names]].to_numpy(np.float64)
        found = table[logits].to_numpy(np.float32)
    except (ValueError, TypeError) as error:
        raise DarkroomError(f"{file}: no numbers ({error}); run {stage} again") from None
    if wrong := _find_wrong(table, probabilities, found):
        raise DarkroomError(f"{file}: {wrong}; run {stage} again")
    return Predictions(
        class_names=names,
        paths=list(table["path"]),
        sha256=list(table["sha256"]),
        labels=table["label"].map(positions).to_numpy(np.int64),
        logits=found,
        probabilities=probabilities,
        groups=list(table[GROUP].astype(str)) if GROUP in table else [],
        decided=None if decided is None else decided.to_numpy(np.int64),
    )


def _find_wrong(table: pd.DataFrame, probabilities: np.ndarray, logits: np.ndarray) -> str:
    """Return what of a table of predictions no evaluation wrote; empty where all is well."""
    for name in ("path", "sha256"):
        if not all(isinstance(one, str) for one in table[name]):
            return f"the column {name} holds what is no text"
    if table["path"].duplicated().any():
        return "an image stands there more than once"
    if not (np.isfinite(logits).all() and np.isfinite(probabilities).all()):
        return "probabilities or logits that are no numbers (NaN or infinite)"
    if ((probabilities < 0) | (probabilities > 1 + 1e-6)).any():
        return "probabilities that are not 0 to 1"
    return ""

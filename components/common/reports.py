"""What evaluate leaves for later rooms: predictions.parquet, the figures of metrics.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.errors import DarkroomError
from components.common.files import writing

if TYPE_CHECKING:
    import pandas as pd

# Columns: path, sha256, label, predicted (class names), correct, probability (of predicted), then
# for each class its probability and its logit. No name before them begins with such a prefix.
PROBABILITY, LOGIT = "p_", "z_"


@dataclass(frozen=True)
class Predictions:
    """What a model says of the images of one split, sorted by path."""

    class_names: list[str]  # position = label = column
    paths: list[str]
    sha256: list[str]
    labels: np.ndarray  # int64 (images,): what they are
    logits: np.ndarray  # float32 (images, classes), before the temperature
    probabilities: np.ndarray  # float64 (images, classes), calibrated, rows summing to 1

    def __len__(self) -> int:
        """The number of images."""
        return len(self.paths)

    @property
    def predicted(self) -> np.ndarray:
        """The class that each image is taken for, int64 (images,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def correct(self) -> np.ndarray:
        """Whether each image is taken for what it is, bool (images,)."""
        return np.asarray(self.predicted == self.labels)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, float64 (images,)."""
        return np.asarray(self.probabilities.max(axis=1))


def write_predictions(file: Path, predictions: Predictions) -> None:
    """Write predictions.parquet, whole or not at all."""
    with writing(file) as temporary:
        create_table(predictions).to_parquet(temporary, index=False)


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
    for prefix, values in ((PROBABILITY, predictions.probabilities), (LOGIT, predictions.logits)):
        columns |= {f"{prefix}{name}": values[:, i] for i, name in enumerate(names)}
    return pd.DataFrame(columns)


def read_predictions(file: Path) -> Predictions:
    """Read predictions.parquet; raise DarkroomError where it is missing or damaged."""
    import pandas as pd

    try:
        table = pd.read_parquet(file)
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no predictions there; run evaluate first") from None
    except (OSError, ValueError) as error:
        raise DarkroomError(f"{file}: not readable ({error}); run evaluate again") from None
    names = [str(c).removeprefix(PROBABILITY) for c in table if str(c).startswith(PROBABILITY)]
    logits = [f"{LOGIT}{name}" for name in names]
    missing = {"path", "sha256", "label", *logits} - set(table.columns)
    if missing or not names:
        lacking = ", ".join(sorted(missing)) or f"{PROBABILITY}<class>"
        raise DarkroomError(f"{file}: predictions lack {lacking}; run evaluate again")
    positions = {name: position for position, name in enumerate(names)}
    strange = set(table["label"]) - set(names)
    if strange:
        raise DarkroomError(
            f"{file}: labels without a column of probabilities: {', '.join(sorted(strange))}; run "
            "evaluate again"
        )
    return Predictions(
        class_names=names,
        paths=list(table["path"]),
        sha256=list(table["sha256"]),
        labels=table["label"].map(positions).to_numpy(np.int64),
        logits=table[logits].to_numpy(np.float32),
        probabilities=table[[f"{PROBABILITY}{name}" for name in names]].to_numpy(np.float64),
    )


def list_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return every number of metrics.json under its dotted name.

    Keys are joined with dots: `macro.f1`. An entry of a list goes by its `name`:
    `classes.shirt.recall`, `slices.camera.phone.accuracy`. A pair that is an interval gives two:
    `accuracy.low` and `accuracy.high`, `classes.shirt.recall.low`.
    """
    return dict(_walk("", metrics))


def _walk(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "intervals" and isinstance(item, Mapping):
                yield from _walk(name, {f"{one}_interval": ends for one, ends in item.items()})
            else:
                yield from _walk(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)
    elif isinstance(value, list) and name.endswith("_interval") and len(value) == 2:
        for end, number in zip(("low", "high"), value, strict=True):
            yield f"{name.removesuffix('_interval')}.{end}", float(number)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                yield from _walk(f"{name}.{entry['name']}", entry)

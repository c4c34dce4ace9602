"""learning_curve.csv: how good the model is with fewer images, and would be with more.

Train measures and reckons; evaluate draws it and puts it in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from components.common.files.cells import shield_text, unshield_text
from components.common.files.tables import read_table, write_rows

# What a point is about: the accuracy with images of all classes as they are mixed, or of one class
# alone; the recall of that class then; the accuracy without the images whose labels look wrong. All
# of these are the probe's; of the fine-tuned network there is the first, where it was wanted.
EVERYTHING, CLASS, RECALL, LABELS, FINETUNED = "all", "class", "recall", "labels", "finetuned"
LEVEL = 0.9  # of the intervals
MEASURED, FORECAST = "measured", "forecast"


@dataclass(frozen=True)
class CurvePoint:
    """One row of learning_curve.csv."""

    of: str  # EVERYTHING, CLASS, RECALL, LABELS or FINETUNED
    name: str  # of the class, else empty
    kind: str  # MEASURED or FORECAST
    images: int  # learnt: of all, or of the class; of LABELS those left out
    more: int  # how many are to come; 0 where measured
    accuracy: float  # of images that were not learnt, of all or of the class
    low: float  # of its interval
    high: float
    gain: float  # of accuracy against now; 0 where it is the curve below
    gain_low: float
    gain_high: float


def write_curve(file: Path, points: Sequence[CurvePoint]) -> None:
    """Write learning_curve.csv, whole or not at all; of too few images it holds the header."""
    rows = (
        {name: f"{of:.5f}" if isinstance(of, float) else of for name, of in asdict(point).items()}
        | {"name": shield_text(point.name)}
        for point in points
    )
    write_rows(file, [field.name for field in fields(CurvePoint)], rows)


def read_curve(file: Path) -> list[CurvePoint]:
    """Return the points as they were written; raise DarkroomError if the file is damaged.

    Models of earlier versions have none.
    """
    if not file.exists():
        return []
    names = [field.name for field in fields(CurvePoint)]
    texts = ("of", "name", "kind")
    table = read_table(file, "learning curve", names, "train", form="csv", texts=texts)
    table["name"] = table["name"].map(unshield_text)
    rows = table[names].to_dict("records")
    return [CurvePoint(**{str(key): value for key, value in row.items()}) for row in rows]

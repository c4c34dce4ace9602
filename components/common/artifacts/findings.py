"""The folder of findings: what train knows of the images besides the model, for the report.

One folder between two rooms, so a new finding is its name here, its writer and its reader; specs,
dvc.yaml and the tasks on a cluster stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.common.files.writing import read_json

HELD_BACK = "label_issues"  # among the choices: why there is no list of label issues


@dataclass(frozen=True)
class FindingFiles:
    """Where each finding lies."""

    folder: Path

    @property
    def probe(self) -> Path:
        """What the probe says of the test images, as predictions.parquet: the baseline."""
        return self.folder / "probe.parquet"

    @property
    def label_issues(self) -> Path:
        """Images of train and val that are probably labelled wrongly, worst first."""
        return self.folder / "label_issues.csv"

    @property
    def augmented(self) -> Path:
        """A picture: training images as fine-tuning sees them."""
        return self.folder / "augmented.png"

    @property
    def choices(self) -> Path:
        """What `train.recipe: auto` chose: a list of setting, value and reason."""
        return self.folder / "choices.json"


def read_held_back(files: FindingFiles) -> str:
    """Return why there is no list of label issues; empty where there is one."""
    # A model of an earlier version left no choices.
    chosen = read_json(files.choices) if files.choices.is_file() else []
    return next((str(one["reason"]) for one in chosen if one["setting"] == HELD_BACK), "")

"""The folder of findings: what train knows of the images besides the model, for the report.

One folder between two rooms, so a new finding is its name here, its writer and its reader; specs,
dvc.yaml and the tasks on a cluster stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.files.writing import read_json

# Among the choices: why there is no list of label issues, no learning curve.
HELD_BACK, NO_CURVE = "label_issues", "learning_curve"


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
    def curve(self) -> Path:
        """How good the probe is with fewer images, and would be with more."""
        return self.folder / "learning_curve.csv"

    @property
    def augmented(self) -> Path:
        """A picture: training images as fine-tuning sees them."""
        return self.folder / "augmented.png"

    @property
    def choices(self) -> Path:
        """What `train.recipe: auto` chose: a list of setting, value and reason."""
        return self.folder / "choices.json"


def read_held_back(files: FindingFiles, what: str = HELD_BACK) -> str:
    """Return why there is no list of label issues, or no learning curve; empty where there is."""
    # A model of an earlier version left no choices.
    chosen = read_json(files.choices) if files.choices.is_file() else []
    try:
        return next((str(one["reason"]) for one in chosen if one["setting"] == what), "")
    except (TypeError, KeyError) as error:
        raise DarkroomError(
            f"{files.choices}: no list of choices ({error!r}); run train again"
        ) from None

"""The history of the training, as the report and `dvc plots` show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "phase",  # probe or fine-tune
    "epoch",  # 0 for the probe
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "is_best",  # the row whose weights were kept
)
PROBE = "probe"


def read_history(file: Path) -> pd.DataFrame:
    """Read history.csv of train; raise DarkroomError where it is missing or of another form."""
    import pandas as pd

    try:
        history = pd.read_csv(file)
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no history there; run train first") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{file}: not a readable CSV file ({error}); run train again") from None
    missing = [name for name in COLUMNS if name not in history.columns]
    if missing or history.empty:
        reason = f"lacks {', '.join(missing)}" if missing else "holds no epoch"
        raise DarkroomError(f"{file}: {reason}; run train again")
    return history.assign(is_best=history["is_best"].astype(bool))

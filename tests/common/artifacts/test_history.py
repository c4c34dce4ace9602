"""history.csv: whole at any time, and of a training that has ended only when a row is marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components.common.artifacts.history import PROBE, Epoch, read_history, write_history
from components.common.errors import DarkroomError

FIRST = Epoch(PROBE, 0, None, 0.3, 0.95, 0.4, 0.9, 3.0)
SECOND = replace(FIRST, phase="fine-tune", epoch=1, learning_rate=1e-4, val_accuracy=0.93)


def test_what_was_kept_is_marked(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [FIRST, SECOND], SECOND)
    found = read_history(tmp_path / "history.csv")
    assert found["is_best"].tolist() == [False, True]
    assert found["val_accuracy"].tolist() == [0.9, 0.93]


def test_a_training_under_way_can_be_drawn_and_not_be_judged(tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "history.csv"
    for epochs in ([FIRST], [FIRST, SECOND]):
        write_history(file, epochs)
        assert pd.read_csv(file)["epoch"].tolist() == list(range(len(epochs)))
        with pytest.raises(DarkroomError, match="has not ended; run train again"):
            read_history(file)

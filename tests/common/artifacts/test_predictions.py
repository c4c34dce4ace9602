"""predictions.parquet comes back as it was written; what no evaluation wrote is told in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.common.artifacts.predictions import (
    Predictions,
    create_table,
    read_predictions,
    write_predictions,
)
from components.common.errors import DarkroomError

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
FOUND = Predictions(
    class_names=["cat", "dog"],
    paths=["a.png", "b.png", "c.png"],
    sha256=["1", "2", "3"],
    labels=np.array([0, 1, 1]),
    logits=np.log(PROBABILITIES).astype(np.float32),
    probabilities=PROBABILITIES,
)


def test_predictions_come_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", FOUND)
    found = read_predictions(tmp_path / "p.parquet")
    assert create_table(found).equals(create_table(FOUND))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(p_cat=np.nan), "no numbers (NaN or infinite)"),
        (lambda t: t.assign(z_dog=np.inf), "no numbers (NaN or infinite)"),
        (lambda t: t.assign(p_cat="high"), "no numbers"),
        (lambda t: t.assign(p_cat=-3.0), "not 0 to 1"),
        (lambda t: t.assign(label=[0, 1, 1]), "labels without a column of probabilities: 0, 1"),
        (lambda t: t.assign(label=[None, "cow", "dog"]), "labels without a column"),
        (lambda t: t.assign(predicted=None), "answers that are no class"),
        (lambda t: t.assign(sha256=None), "the column sha256"),
        (lambda t: t.assign(path=[1, 2, 3]), "the column path"),
        (lambda t: pd.concat([t, t]), "more than once"),
        (lambda t: t.drop(columns="sha256"), "lacks sha256"),
        (lambda t: t.drop(columns="z_dog"), "lack z_dog"),
    ],
)
def test_what_no_evaluation_wrote_is_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "p.parquet"
    change(create_table(FOUND)).to_parquet(file)
    for stage in ("evaluate", "train"):  # the probe's lie in the same form
        with pytest.raises(DarkroomError) as told:
            read_predictions(file, stage)
        assert words in str(told.value)
        assert str(told.value).startswith(f"{file}: ")
        assert f"run {stage} again" in str(told.value)

"""Files say which form they have; older and newer ones are read as they were meant, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.common.artifacts import (
    dataset,
    groups,
    manifest,
    metrics,
    model,
    predictions,
    sample,
    splits,
    validation,
)
from components.common.errors import DarkroomError
from components.common.files.schema import KEY, Schema
from components.common.images.pixels import ImageForm
from components.common.tracking import runs
from components.promote import summary
from tests.tiny_model import make_card


def write_manifest(place: Path) -> None:
    table = pd.DataFrame({name: ["a"] for name in manifest.COLUMNS})
    manifest.write_manifest(place / "file", table)


def write_splits(place: Path) -> None:
    table = pd.DataFrame({name: ["a", "b"] for name in splits.COLUMNS})
    table.attrs[splits.FRACTIONS] = [0.15, 0.15]
    splits.write_splits(place / "file", table)


def write_groups(place: Path) -> None:
    groups.write_groups(
        place, pd.DataFrame({"path": ["a", "b"], "group_id": "g", "split": "train"})
    )


def write_predictions(place: Path) -> None:
    one = np.array([[1.0]])
    labels = np.array([0])
    predictions.write_predictions(
        place / "file", predictions.Predictions(["cat"], ["a"], ["0"], labels, one, one)
    )


def write_sample(place: Path) -> None:
    sample.write_sample(place / "file", sample.Sample(["cat"], ["a"], [b"1"], np.array([[1.0]])))


def write_dataset(place: Path) -> None:
    form = ImageForm(8, "crop", "#ffffff")
    dataset.write_dataset(place, dataset.Dataset(["cat"], form, {}, "0", "0"))


def read_card_of(place: Path) -> Any:
    return model.read_card(place / "file.keras")


def write_model(place: Path) -> None:
    class Network:
        def save(self, file: Path) -> None:
            import zipfile

            zipfile.ZipFile(file, "w").close()

    model.save_model(place / "file.keras", Network(), make_card())  # type: ignore[arg-type]


def of(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda place: read(place / "file")


KINDS: dict[str, tuple[Any, Callable[[Path], None], Callable[[Path], Any]]] = {
    "manifest": (manifest, write_manifest, of(manifest.read_manifest)),
    "splits": (splits, write_splits, of(splits.read_splits)),
    "groups": (groups, write_groups, lambda place: groups.read_groups(place, ["a"], ["0"])),
    "predictions": (predictions, write_predictions, of(predictions.read_predictions)),
    "sample": (sample, write_sample, of(sample.read_sample)),
    "dataset": (dataset, write_dataset, dataset.read_dataset),
    "validation": (
        validation,
        lambda place: validation.write_validation(place / "file", {"status": "passed"}),
        of(validation.read_validation),
    ),
    "metrics": (
        metrics,
        lambda place: metrics.write_metrics(place / "file", {"accuracy": 1.0}),
        of(metrics.read_metrics),
    ),
    "model": (model, write_model, read_card_of),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_its_form_and_refuses_others(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, write, read = KINDS[name]
    own: Schema = module.SCHEMA
    assert own.name == name
    write(tmp_path)
    found = read(tmp_path)
    assert KEY not in (found if isinstance(found, dict) else {})
    monkeypatch.setattr(module, "SCHEMA", replace(own, newest=3, oldest=2))
    with pytest.raises(DarkroomError, match=f"form 1.*older version.*run {own.stage} again"):
        read(tmp_path)
    written = tmp_path / "newer"
    written.mkdir()
    write(written)
    monkeypatch.setattr(module, "SCHEMA", own)
    with pytest.raises(DarkroomError, match=f"form 3.*newer version.*or run {own.stage} again"):
        read(written)


def test_attributes_of_a_table_are_kept_beside_the_mark(tmp_path: Path) -> None:
    write_splits(tmp_path)
    assert splits.read_splits(tmp_path / "file").attrs[splits.FRACTIONS] == [0.15, 0.15]


def test_marks_are_no_figures() -> None:
    assert metrics.list_figures(metrics.SCHEMA.put_on({"accuracy": 0.5})) == {"accuracy": 0.5}


@pytest.mark.parametrize("mark", ["darkroom manifest 1", "2", 7, ["x"], "darkroom metrics -1"])
def test_another_mark_is_told(mark: object) -> None:
    with pytest.raises(DarkroomError, match=r"m\.json: says of itself .*run evaluate again"):
        metrics.SCHEMA.take_off(Path("m.json"), {KEY: mark})


def test_verdicts_and_runs_have_one_too() -> None:
    assert (summary.SCHEMA.mark, runs.SCHEMA.mark) == ("darkroom verdict 1", "darkroom run 1")

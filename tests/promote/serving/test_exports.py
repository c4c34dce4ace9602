"""Further forms of the model: equal answers, and clear words where a package is missing."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.common.artifacts.model import load_model
from components.common.artifacts.predictions import Predictions
from components.common.artifacts.sample import Sample
from components.common.errors import DarkroomError
from components.common.images.pixels import read_pixels
from components.common.tracking.server import import_mlflow
from components.promote.registry.registry import Registry
from components.promote.serving import exports
from components.promote.serving.exports import FILES, export
from components.promote.serving.sample import take_sample
from tests.tiny_model import make_card, make_model

FORMS = [form for form in FILES if importlib.util.find_spec("tf2onnx") or form != "onnx"]


@pytest.fixture
def sample(photos: Path, evaluations: list[Predictions]) -> Sample:
    return take_sample(photos, evaluations[0], 4)


def test_every_form_answers_as_was_measured(
    models: list[Path], sample: Sample, tmp_path: Path
) -> None:
    gaps = export(models[0], FORMS, sample, tmp_path)
    assert sorted(gaps) == sorted(FORMS)
    assert max(gaps.values()) <= 1e-4
    assert all((tmp_path / FILES[form]).exists() for form in FORMS)


def test_a_calibration_of_each_class_is_in_every_form(sample: Sample, tmp_path: Path) -> None:
    card = replace(make_card(), scales=[0.5, 2.0], offsets=[1.0, -1.0])
    model = make_model(tmp_path / "model.keras", card)
    plain = make_model(tmp_path / "plain.keras")
    images = np.stack([read_pixels(one, card.form) for one in sample.images])
    ours, theirs = (load_model(one).predict(images, verbose=0) for one in (model, plain))
    assert np.abs(ours - theirs).max() > 0.1
    gaps = export(model, FORMS, sample, tmp_path)
    assert max(gaps.values()) <= 1e-4


def test_form_that_answers_differently_is_refused(
    models: list[Path], sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = exports.READERS["saved_model"]
    monkeypatch.setitem(
        exports.READERS, "saved_model", lambda target, pixels: ask(target, pixels + 3)
    )
    with pytest.raises(DarkroomError, match="saved_model answers differently"):
        export(models[0], ["saved_model"], sample, tmp_path)


def test_missing_packages_are_named_as_pip_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DarkroomError, match=r"tf2onnx: python -m pip install 'onnx>="):
        exports.check_installed(["onnx"])
    exports.check_installed(["saved_model", "litert"])


def test_exports_lie_beside_the_registered_model(
    mlflow_store: Path, models: list[Path], sample: Sample
) -> None:
    from components.common.settings.spec import Mlflow
    from components.common.tracking.recording import continue_run, start_recorded_run

    with start_recorded_run(Mlflow(), mlflow_store / "run.json"):
        pass
    with continue_run(Mlflow(), mlflow_store / "run.json") as mlflow:
        registry = Registry(mlflow, "darkroom")
        registry.create_model()
        registry.register(models[0], make_card(), {}, {})
    assert exports.add_exports(registry, "1", models[0], ["litert"], sample)
    assert not exports.add_exports(registry, "1", models[0], ["litert"], sample)
    folder = import_mlflow().artifacts.download_artifacts("models:/darkroom/1")
    assert (Path(folder) / "exports/model.tflite").exists()
    assert (Path(folder) / "artifacts/model.keras").exists()
    found = exports.READERS["litert"](
        Path(folder) / "exports/model.tflite", np.zeros((1, 16, 16, 3), np.float32)
    )
    assert found.sum() == pytest.approx(1, abs=1e-5)

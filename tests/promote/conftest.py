"""Tiny models, images and evaluations, and a registry to promote them in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from benchmarks._registry import World
from benchmarks._registry_stage import always_fit
from components.common.artifacts.predictions import Predictions, write_predictions
from components.common.artifacts.sample import Sample
from components.common.files.writing import compute_sha256
from components.common.serving.classifier import Classifier
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import start_recorded_run
from components.common.tracking.server import import_mlflow
from components.promote import people, run
from components.promote.serving.check import TOLERANCE, Served
from components.promote.spec import Inputs, Outputs, Params, Rule
from tests.tiny_model import SIZE_PX, make_card, make_model

RULES = [Rule("accuracy", at_least=0.8), Rule("accuracy", champion_margin=0.01)]
TEST = "t" * 64
IMAGES = 30
Promote = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [make_model(folder / f"{seed}.keras", make_card(), seed) for seed in range(3)]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = random.integers(0, 256, (SIZE_PX + number, SIZE_PX, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def evaluations(models: list[Path], photos: Path) -> list[Predictions]:
    """What each model says of the photos; what they are is what the second model says."""
    files = sorted(photos.iterdir())
    found = [Classifier(model).classify(files).probabilities for model in models]
    return [
        Predictions(
            class_names=["cat", "dog"],
            paths=[file.name for file in files],
            sha256=[compute_sha256(file) for file in files],
            labels=found[1].argmax(axis=1),
            logits=np.log(probabilities).astype(np.float32),
            probabilities=probabilities,
        )
        for probabilities in found
    ]


@pytest.fixture
def lay_out(
    mlflow_store: Path, models: list[Path], photos: Path, evaluations: list[Predictions]
) -> Callable[..., Inputs]:
    """Return a function that writes what earlier rooms write."""

    def act(
        model: int = 0,
        accuracy: float = 0.9,
        digest: str = TEST,
        data: str = "passed",
        **more: Any,
    ) -> Inputs:
        folder = mlflow_store
        shutil.copy(models[model], folder / "model.keras")
        metrics = {
            "accuracy": accuracy,
            "macro": {"f1": 0.85},
            "intervals": {"accuracy": [accuracy - 0.05, accuracy + 0.05]},
            "test_digest": digest,
            **more,
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "validation.json").write_text(json.dumps({"status": data}))
        write_predictions(folder / "predictions.parquet", evaluations[model])
        return Inputs(
            images=photos,
            model=folder / "model.keras",
            predictions=folder / "predictions.parquet",
            metrics=folder / "metrics.json",
            validation=folder / "validation.json",
            run=folder / "run.json",
        )

    return act


class ServerInProcess:
    """Loads the registered model and asks it, here: a real server costs ten seconds a promotion.

    tests/promote/serving/test_served.py asks the real one.
    """

    def check(self, model: str, sample: Sample, mb: float) -> Served:
        loaded = import_mlflow().pyfunc.load_model(model)
        answers = loaded.predict(pd.DataFrame({"image": sample.images}))["probabilities"]
        found = np.array([[answer[name] for name in sample.class_names] for answer in answers])
        gap = float(np.abs(found - sample.probabilities).max())
        problem = "" if gap <= TOLERANCE else f"a probability differs by {gap}"
        return Served(problem, len(sample.images), gap, 1.0, 2.0, mb)


@contextmanager
def starting_in_process(tracking_uri: str) -> Iterator[ServerInProcess]:
    yield ServerInProcess()


@pytest.fixture
def quick_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (run, people):
        monkeypatch.setattr(module, "starting_server", starting_in_process)


@pytest.fixture
def promote(mlflow_store: Path, lay_out: Callable[..., Inputs], quick_server: None) -> Promote:
    """Return a function that lays out what earlier rooms write, promotes, returns the verdict."""

    def act(
        model: int = 0,
        *,
        rules: list[Rule] = RULES,
        same_run: bool = False,
        mode: Any = "automatic",
        **more: Any,
    ) -> dict[str, Any]:
        inputs = lay_out(model, **more)
        if not same_run:
            with start_recorded_run(Mlflow(), inputs.run):
                pass
        params = Params(rules=rules, mode=mode, served_images=4)
        run.run(inputs, Outputs(mlflow_store / "verdict.json"), params)
        found: dict[str, Any] = json.loads((mlflow_store / "verdict.json").read_text())
        return found

    return act


@pytest.fixture
def world(mlflow_store: Path) -> Iterator[World]:
    """A registry of empty models, which the served check passes."""
    with always_fit():
        yield World(mlflow_store, "darkroom", seed=0)


@pytest.fixture(scope="session")
def store_with_two(mlflow_database: Path, shared_folder: Path) -> Path:
    """A store with two versions that were champion, to be copied."""
    folder = shared_folder / "two champions"
    with FileLock(shared_folder / "two.lock"), pytest.MonkeyPatch.context() as patch:
        if not folder.exists():
            folder.mkdir()
            shutil.copy(mlflow_database, folder / "mlflow.db")
            patch.chdir(folder)
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
            with always_fit():
                world = World(folder, "darkroom", seed=0)
                world.promote(0.7)
                world.promote(0.8)
    return folder


@pytest.fixture
def two_champions(store_with_two: Path, world: World) -> World:
    shutil.copy(store_with_two / "mlflow.db", world.folder / "mlflow.db")
    world.models = {"0": 0.7, "1": 0.8}
    return world


def aliases(name: str = "darkroom") -> dict[str, str]:
    found = import_mlflow().MlflowClient().get_registered_model(name).aliases
    return {alias: str(version) for alias, version in found.items()}


def count_versions(name: str = "darkroom") -> int:
    return len(import_mlflow().MlflowClient().search_model_versions(f"name = '{name}'"))

"""A tiny model on disk and in a real registry, and images to ask it about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.files.writing import compute_sha256
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.tags import MODEL_DIGEST
from components.promote.registry.registry import Registry
from tests.tiny_model import SIZE_PX, make_card, make_model

CLASSES = ("cat", "dog, wet", "é.x")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "model.keras", make_card(CLASSES))


@pytest.fixture
def registered(model: Path, mlflow_store: Path) -> Registry:
    """The model as version 1 of `darkroom`, alias `champion`."""
    with start_recorded_run(Mlflow(), mlflow_store / "run.json"):
        pass
    with continue_run(Mlflow(), mlflow_store / "run.json") as mlflow:
        registry = Registry(mlflow, "darkroom")
        registry.create_model()
        tags = {MODEL_DIGEST: compute_sha256(model)}
        registry.set_alias("champion", registry.register(model, make_card(CLASSES), tags, {}, 0.45))
    return registry


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five readable images of the model's own size, one broken, one hidden."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(5):
        pixels = random.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
        Image.fromarray(pixels).save(folder / ("sub" if number % 2 else "") / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / ".hidden.png").write_bytes(b"no image")
    return folder

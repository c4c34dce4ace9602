"""A tiny model on disk and in a real registry, and images to ask it about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.predictions import Predictions
from components.common.files.writing import compute_sha256
from components.common.serving.classifier import Classifier
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.tags import EVALUATION_RUN, MODEL_DIGEST
from components.promote.registry.registry import Registry
from components.promote.serving.reference import write_reference
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


@pytest.fixture
def watched(
    registered: Registry, model: Path, make_digits: Callable[..., Path], tmp_path: Path
) -> Path:
    """The registered model with a reference of digits; returns a folder of other digits."""
    digits = sorted(make_digits(per_class=80).rglob("*.png"))
    old, new = digits[::2], digits[1::2]
    (tmp_path / "new").mkdir()
    for number, file in enumerate(new):
        file.rename(tmp_path / "new" / f"{number}.png")
    probabilities = Classifier(model).classify(old).probabilities
    predictions = Predictions(
        list(CLASSES),
        [str(file) for file in old],
        [f"{number:064d}" for number in range(len(old))],
        np.zeros(len(old), np.int64),
        np.log(probabilities),
        probabilities,
    )
    folder = tmp_path / "evaluation"
    write_reference(folder / "reference.parquet", Path(), predictions, Classifier(model).card.form)
    client = registered.client
    run_id = client.get_model_version("darkroom", "1").run_id
    client.log_artifacts(run_id, str(folder), "evaluation")
    client.set_model_version_tag("darkroom", "1", EVALUATION_RUN, run_id)
    return tmp_path / "new"

"""A preset of KerasHub on the whole way: probe, fine-tuning, killed and gone on with, judged with
explanations, promoted, served. The fine-tuned network is what is kept, and what answers.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import load_model, read_card
from components.common.cli import run_room
from components.common.images.pixels import read_pixels
from components.promote.serving.package import list_requirements
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import find_bodies
from tests.e2e.walk import (
    CLASSES,
    check_explained,
    check_promoted,
    list_words,
    train_and_kill,
    write_photos,
    write_settings,
)
from tests.train.networks.tiny_hub import make_hub

KINDS = ["ViT"]
PER_CLASS, SIZE_PX, EPOCHS = 80, 32, 12
FINETUNE = {
    "epochs": EPOCHS, "batch_size": 8, "learning_rate": 0.001, "ema_momentum": 0.9,
    "label_smoothing": 0.0, "dropout": 0.0,
}  # fmt: skip
# None: a network of a few hundred weights a layer must learn more than its probe knows.
AUGMENT = {
    "flip": "never", "rotation_degrees": 0, "shear_degrees": 0, "zoom": 0.0, "shift": 0.0,
    "crop": 0.0, "colour": 0.0, "erase": 0.0,
}  # fmt: skip

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass(frozen=True)
class Walk:
    """A folder in which every stage ran with a network."""

    kind: str
    folder: Path
    killed: int  # exit status of the training that was killed
    told: str

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="module", params=KINDS)
def walk(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_database: Path,
) -> Iterator[Walk]:
    hub = pytest.importorskip("keras_hub", reason="needs the extra `hub`")
    kind, folder = request.param, tmp_path_factory.mktemp("walk")
    write_photos(folder / "data/photos", PER_CLASS)
    make_hub(hub, kind, folder / "net")
    write_settings(
        folder,
        train={"backbone": "net", "recipe": "fixed"},
        preprocess={"size_px": SIZE_PX},
        finetune=FINETUNE,
        augment=AUGMENT,
    )
    shutil.copy(mlflow_database, folder / "mlflow.db")
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        for room in ("validate", "preprocess"):
            run_room(room, list_words(room))
        killed = train_and_kill(folder)
        for room in ("train", "evaluate", "promote"):
            run_room(room, list_words(room))
        yield Walk(kind, folder, killed, told.getvalue())


def test_a_killed_training_goes_on_in_its_run(walk: Walk) -> None:
    import mlflow

    assert walk.killed == -signal.SIGKILL
    assert "going on where an earlier run was stopped: fine-tuning" in walk.told
    [run] = mlflow.search_runs(experiment_names=["darkroom"], output_format="list")
    assert run.info.status == "FINISHED"
    seen = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert {metric.step for metric in seen} == set(range(EPOCHS + 1))


def test_the_fine_tuned_network_is_kept(walk: Walk) -> None:
    with (walk.folder / "reports/history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["phase"] for row in rows] == ["probe"] + ["fine-tune"] * EPOCHS
    [kept] = [row for row in rows if row["is_best"] == "1"]
    assert kept["phase"] == "fine-tune"
    model = load_model(walk.folder / "models/model.keras")
    published = create_body(find_backbone("net"), "imagenet", SIZE_PX).weights
    trained = [w for part in find_bodies(model) for w in part.weights]
    moved = [not np.array_equal(a, b) for a, b in zip(trained, published, strict=True)]
    assert np.mean(moved) > 0.9  # all but tokens of the mask and the like


def test_it_is_judged_with_its_explanations(walk: Walk) -> None:
    metrics = walk.read("reports/metrics.json")
    assert metrics["accuracy"] > 0.6
    check_explained(metrics, walk.folder / "reports/report.html")


def test_it_is_promoted_with_what_it_needs(walk: Walk) -> None:
    check_promoted(walk.read("reports/verdict.json"))
    needed = list_requirements(read_card(walk.folder / "models/model.keras"))
    assert not any("keras-hub==" in line for line in needed)  # plain Keras, by now


def test_the_champion_answers(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    photos = sorted((walk.folder / "data/photos").glob("*/00*.png"))
    words = [*map(str, photos), "--model", "models:/darkroom@champion", "--probabilities"]
    run_room("predict", words)
    answers = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    file = walk.folder / "models/model.keras"
    card = read_card(file)
    pixels = np.stack([read_pixels(photo.read_bytes(), card.form) for photo in photos])
    expected = np.asarray(load_model(file)(pixels))
    names = [card.class_names[one] for one in expected.argmax(axis=1)]
    assert [answer["label"] for answer in answers] == names
    assert len(answers) == 10 * CLASSES
    given = [float(answer["probability"]) for answer in answers]
    assert given == pytest.approx(expected.max(axis=1), abs=1e-4)

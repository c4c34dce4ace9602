"""A network from a folder goes the whole way: trained, killed, gone on with, judged, served."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from components.common.artifacts.model import load_model, read_card
from components.common.cli import run_room
from components.promote import run as promoting
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import find_bodies
from components.train.weights.shelf import compute_digest
from components.train.weights.start import describe_since, find_weights, pin_weights
from tests.conftest import load_digits
from tests.promote.conftest import starting_in_process
from tests.train.networks.tiny_vit import DINOV2, write_timm

ROOT = Path(__file__).parents[2]
CLASSES, PER_CLASS, SIZE_PX = 3, 26, 32
NETWORK = "data/weights/dino"
FORMS = ["saved_model", "litert", "onnx"]

pytestmark = pytest.mark.e2e


@dataclass
class Walk:
    """A folder in which all rooms ran, and what they said."""

    folder: Path
    told: str
    killed: int  # exit status of the training that was killed

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


def list_words(room: str) -> list[str]:
    """Return a room's flags as dvc.yaml has them."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return shlex.split(stages[room]["cmd"])[3:]


def write_photos(folder: Path) -> None:
    pixels, labels = load_digits()
    for label in range(CLASSES):
        (folder / f"digit-{label}").mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(labels == label)[:PER_CLASS]):
            image = Image.fromarray(pixels[index]).resize((SIZE_PX, SIZE_PX))
            image.save(folder / f"digit-{label}" / f"{number:03d}.png")


def write_settings(folder: Path) -> None:
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["source"] = "data/photos"
    params["preprocess"]["size_px"] = SIZE_PX
    params["train"] |= {"backbone": NETWORK, "recipe": "fixed"}
    finetune = {"epochs": 2, "batch_size": 8, "lora_rank": 2, "remat": True, "layer_decay": 0.75}
    params["train"]["finetune"] |= finetune
    params["evaluate"] |= {"resamples": 100, "robustness_images": 4, "latency_runs": 3}
    params["promote"] |= {"rules": [{"metric": "accuracy", "at_least": 0.3}], "exports": FORMS}
    yaml.dump(params, folder / "params.yaml")


def train_and_kill(folder: Path) -> int:
    """Kill a training as soon as fine-tuning stands in its checkpoint."""
    words = [sys.executable, "-m", "components.train", *list_words("train")]
    process = subprocess.Popen(
        words, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 300
    while not (folder / "models/model.checkpoint/finetune.npz").exists():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < end, "it does not get to fine-tuning"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Any:
    pytest.importorskip("tf2onnx")
    folder = tmp_path_factory.mktemp("walk")
    write_photos(folder / "data/photos")
    write_timm(folder / NETWORK, DINOV2)
    write_settings(folder)
    shutil.copy(mlflow_database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        # A server of its own costs ten seconds; tests/promote/serving asks the real one.
        patch.setattr(promoting, "starting_server", starting_in_process)
        run_room("validate", list_words("validate"))
        run_room("preprocess", list_words("preprocess"))
        killed = train_and_kill(folder)
        told = []
        patch.setattr("builtins.print", lambda *words, **_: told.append(" ".join(map(str, words))))
        for room in ("train", "evaluate", "promote"):
            run_room(room, list_words(room))
        yield Walk(folder, "\n".join(told), killed)


def test_a_killed_training_goes_on_in_its_run(walk: Walk) -> None:
    import mlflow

    assert walk.killed == -signal.SIGKILL
    assert "going on where an earlier run was stopped: fine-tuning" in walk.told
    (run,) = mlflow.search_runs(experiment_names=["darkroom"], output_format="list")
    assert run.info.status == "FINISHED"
    digest = compute_digest(walk.folder / NETWORK)
    assert run.data.tags["darkroom.backbone_digest"] == digest
    assert read_card(walk.folder / "models/model.keras").digests["backbone"] == digest
    steps = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert {metric.step for metric in steps} == {0, 1, 2}


def test_it_is_judged_with_its_explanations(walk: Walk) -> None:
    metrics = walk.read("reports/metrics.json")
    assert metrics["explanations"]["images"] > 0
    assert 'class="heat"' in (walk.folder / "reports/report.html").read_text()


def test_it_is_champion_and_answers_in_every_form(walk: Walk) -> None:
    verdict = walk.read("reports/verdict.json")
    assert verdict["verdict"] == "promoted"
    assert set(verdict["aliases"]) == {"challenger", "champion"}
    assert verdict["served"]["problem"] == ""
    assert verdict["served"]["difference"] <= 1e-4
    for form in FORMS:
        assert f"exported as {form}: answers as the Keras model" in walk.told


def test_another_training_goes_on_from_the_champion(walk: Walk) -> None:
    assert pin_weights("models:/darkroom@champion") == "models:/darkroom/1"
    assert pin_weights("imagenet") == "imagenet"
    file = find_weights("models:/darkroom/1")
    assert Path(file).read_bytes() == (walk.folder / "models/model.keras").read_bytes()
    body = create_body(find_backbone(NETWORK), file, SIZE_PX)
    theirs = [w for part in find_bodies(load_model(Path(file))) for w in part.weights]
    for mine, weight in zip(body.weights, theirs, strict=True):
        assert np.array_equal(mine, weight), mine.path
    said = describe_since("models:/darkroom/1", ["digit-0", "digit-2", "digit-7"])
    assert said == "; classes since models:/darkroom/1: added digit-7; removed digit-1"
    assert describe_since("models:/darkroom/1", ["digit-2", "digit-1", "digit-0"]) == ""

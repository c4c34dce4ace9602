"""The worked example of docs/training.md, with a tiny network in the place of its DINOv2.

Fetched, trained, killed, gone on with, judged, exported, served, and gone on from as champion.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import signal
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from components.common.artifacts.model import load_model, read_card
from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.promote import run as promoting
from components.promote.serving.package import list_requirements
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import find_bodies
from components.train.networks.weights.shelf import compute_digest
from components.train.networks.weights.start import describe_since, find_weights, pin_weights
from tests.e2e.walk import (
    ROOT,
    SIZE_PX,
    check_explained,
    check_promoted,
    list_words,
    train_and_kill,
    write_photos,
    write_settings,
)
from tests.promote.conftest import starting_in_process
from tests.train.networks.tiny_vit import DINOV2, MEAN, STD, write_timm

PER_CLASS = 26
NETWORK = "data/weights/dinov2_base"
FORMS = ["saved_model", "litert", "onnx"]

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass
class Walk:
    """A folder in which each command of the example ran."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)  # command → what it printed
    told: str = ""  # all of it
    killed: int = 0  # exit status of the training that was killed
    trainings: int = 0

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def run(self, line: str) -> None:
        """Do what a command of the example says, in this process."""
        program, *words = shlex.split(line)
        if program == "python":
            room = words[1].removeprefix("components.")
            stand_in = {"dinov2_base": "cache/dinov2_base"} if "fetch" in words else {}
            run_room(room, [stand_in.get(word, word) for word in words[2:]])
        elif line.startswith("dvc add "):
            assert (self.folder / words[-1]).is_dir()
        elif line.startswith("dvc exp run "):
            self._change([word for word in words[2:] if word != "-S"])
            self._train()
        else:
            raise AssertionError(f"no way to run {line}")

    def _change(self, settings: list[str]) -> None:
        """Write settings into params.yaml, as `dvc exp run -S` does."""
        yaml = YAML()
        params = yaml.load((self.folder / "params.yaml").read_text(encoding="utf-8"))
        for setting in settings:
            key, _, value = setting.partition("=")
            *sections, name = key.split(".")
            place = params
            for section in sections:
                place = place[section]
            place[name] = YAML(typ="safe").load(value)
        params["preprocess"]["size_px"] = SIZE_PX  # the stand-in's
        yaml.dump(params, self.folder / "params.yaml")

    def _train(self) -> None:
        """Run the stages as dvc.yaml has them: all the first time, then train alone."""
        self.trainings += 1
        if self.trainings == 1:
            run_room("validate", list_words("validate"))
            run_room("preprocess", list_words("preprocess"))
            self.killed = train_and_kill(self.folder)
        run_room("train", list_words("train"))
        if self.trainings == 1:
            run_room("evaluate", list_words("evaluate"))
            run_room("promote", list_words("promote"))
            shutil.copy(self.folder / "models/model.keras", self.folder / "first.keras")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Walk]:
    pytest.importorskip("tf2onnx", reason="needs the extra `dev`: the walk exports ONNX")
    folder = tmp_path_factory.mktemp("walk")
    write_photos(folder / "data/photos", PER_CLASS)
    write_timm(folder / "cache/dinov2_base", DINOV2)
    finetune = {"epochs": 2, "batch_size": 8, "remat": True}
    write_settings(folder, finetune=finetune, promote={"exports": FORMS})
    shutil.copy(mlflow_database, folder / "mlflow.db")
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    lines = page.split("### A DINOv2")[1].split("```")[1].strip().splitlines()
    made = Walk(folder)
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        # A server of its own costs ten seconds; tests/promote/serving asks the real one.
        patch.setattr(promoting, "starting_server", starting_in_process)
        for line in lines:
            begin = told.tell()
            made.run(line)
            made.said[line] = told.getvalue()[begin:]
        made.told = told.getvalue()
        yield made


def test_each_command_of_the_example_says_what_it_did(walk: Walk) -> None:
    fetched, verified, listed, added, trained, history, again = walk.said.values()
    assert f"train with it: dvc exp run -S train.backbone={NETWORK}" in fetched
    assert "dinov2_base: as it was fetched, 2 files" in verified
    assert re.search(rf"{NETWORK} .* 32 px", listed)
    assert added == ""
    assert "promoted: every rule holds, and it is the first champion" in trained
    assert re.search(r"promote.*champion|champion.*1", history)
    assert "weights: models:/darkroom/1) on" in again


def test_a_killed_training_goes_on_in_its_run(walk: Walk) -> None:
    import mlflow

    assert walk.killed == -signal.SIGKILL
    assert "going on where an earlier run was stopped: fine-tuning" in walk.told
    found = mlflow.search_runs(experiment_names=["darkroom"], output_format="list")
    assert [run.info.status for run in found] == ["FINISHED"] * 2
    run = found[1]  # the latest is the first
    digest = compute_digest(walk.folder / NETWORK)
    assert run.data.tags["darkroom.backbone_digest"] == digest
    assert read_card(walk.folder / "first.keras").digests["backbone"] == digest
    steps = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert {metric.step for metric in steps} == {0, 1, 2}


def test_the_model_is_plain_keras_and_keeps_its_scaling(walk: Walk) -> None:
    from components.common.backend import keras

    file = walk.folder / "first.keras"
    assert not any("keras-hub" in line for line in list_requirements(read_card(file)))
    # Anybody's Keras loads it: nothing of ours is inside, nor of KerasHub.
    with zipfile.ZipFile(file) as archive:
        made_of = set(re.findall(r'"module": "([^"]+)"', archive.read("config.json").decode()))
    assert made_of
    assert all(module.split(".")[0] == "keras" for module in made_of)
    model = load_model(file)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    features = keras.Model(model.input, model.get_layer("features").output)(pixels)
    body = create_body(find_backbone(NETWORK), str(file), SIZE_PX)
    scaled = ((pixels / 255 - MEAN) / STD).astype(np.float32)
    assert np.asarray(body(scaled)) == pytest.approx(np.asarray(features), abs=1e-4)
    with pytest.raises(DarkroomError, match=r"is a model of dinov2_base.*here it is VGG16"):
        create_body(find_backbone("VGG16"), str(file), SIZE_PX)


def test_it_is_judged_with_its_explanations(walk: Walk) -> None:
    check_explained(walk.read("reports/metrics.json"), walk.folder / "reports/report.html")


def test_it_is_champion_and_answers_in_every_form(walk: Walk) -> None:
    check_promoted(walk.read("reports/verdict.json"))
    for form in FORMS:
        assert f"exported as {form}: answers as the Keras model" in walk.told


def test_another_training_goes_on_from_the_champion(walk: Walk) -> None:
    card = read_card(walk.folder / "models/model.keras")
    assert card.weights == "models:/darkroom/1"
    assert card.digests["weights"] == compute_sha256(walk.folder / "first.keras")
    assert card.params["train.finetune.lora_rank"] == 8
    file = find_weights("models:/darkroom/1")
    assert Path(file).read_bytes() == (walk.folder / "first.keras").read_bytes()
    body = create_body(find_backbone(NETWORK), file, SIZE_PX)
    theirs = [w for part in find_bodies(load_model(Path(file))) for w in part.weights]
    for mine, weight in zip(body.weights, theirs, strict=True):
        assert np.array_equal(mine, weight), mine.path


def test_an_alias_is_pinned_and_other_classes_are_said(walk: Walk) -> None:
    assert pin_weights("models:/darkroom@champion") == "models:/darkroom/1"
    assert pin_weights("imagenet") == "imagenet"
    for wrong, said in (
        ("models:/darkroom", "legal are models:/NAME@ALIAS"),
        ("models:/darkroom@best", "has no alias best; it has challenger"),
        ("models:/other/1", "has no model other; it has darkroom"),
    ):
        with pytest.raises(DarkroomError, match=said):
            pin_weights(wrong)
    said = describe_since("models:/darkroom/1", ["digit-0", "digit-2", "digit-7"])
    assert said == "; classes since models:/darkroom/1: added digit-7; removed digit-1"
    assert describe_since("models:/darkroom/1", ["digit-2", "digit-1", "digit-0"]) == ""

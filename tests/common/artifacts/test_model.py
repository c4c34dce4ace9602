"""What is no model of ours is told in words, and nothing of it is run."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.model import check_growth, load_model, read_card, save_model
from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm
from components.common.serving.classifier import Classifier
from tests.tiny_model import make_card, make_model


def test_code_in_a_model_file_is_not_run(tmp_path: Path) -> None:
    from components.common.backend import keras

    inner = keras.layers.Lambda(lambda x: x + 1)  # Keras keeps its bytecode in the file
    keras.Sequential([keras.Input((2,)), inner]).save(tmp_path / "lambda.keras")
    with pytest.raises(DarkroomError, match=r"code of its own.*save the model without it") as told:
        load_model(tmp_path / "lambda.keras")
    assert "enable_unsafe" not in str(told.value)


def test_a_layer_that_runs_a_model_elsewhere_is_called_by_its_name(tmp_path: Path) -> None:
    layer = {"module": "keras.layers", "class_name": "TFSMLayer", "registered_name": None}
    layers = [layer | {"config": {"name": "odd", "filepath": str(tmp_path / "other")}}]
    config = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as made:
        made.writestr(
            "config.json", json.dumps(config | {"config": {"name": "odd", "layers": layers}})
        )
        made.writestr("metadata.json", "{}")
        made.writestr("model.weights.h5", "")
    with pytest.raises(DarkroomError, match=r"outside it \(a TFSMLayer.*save the model") as told:
        load_model(tmp_path / "odd.keras")
    assert "Lambda" not in str(told.value)


@pytest.mark.parametrize("kind", ["array", "member", "npz", "weights"])
def test_a_file_of_weights_that_would_fill_the_memory_is_refused(kind: str, tmp_path: Path) -> None:
    import h5py

    large = 80 << 20  # bytes; of an array that nobody wrote, the file has none
    with h5py.File(tmp_path / "a.weights.h5", "w") as made:
        made.create_dataset("layers/logits/vars/0", (large // 4,), "f4", chunks=(1 << 20,))
    array = (tmp_path / "a.weights.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("logits.npy", bytes(large))
    file = tmp_path / "a.weights.h5"
    if kind != "weights":
        npz = (tmp_path / "a.npz").read_bytes()
        file = make_model(tmp_path / "model.keras")
        with zipfile.ZipFile(file) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        held["model.weights.h5"] = {"array": array, "member": bytes(large), "npz": b""}[kind]
        held |= {"model.weights.npz": npz} if kind == "npz" else {}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in held.items():
                archive.writestr(name, data)
    load = check_growth if kind == "weights" else load_model
    with pytest.raises(DarkroomError, match=r"refused, because it would grow to 0\.1 GB"):
        load(file)


def test_words_of_a_model_file_are_bounded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("darkroom.json", b" " * (65 << 20))
    with pytest.raises(DarkroomError, match=r"darkroom\.json in it is larger than 64 MB"):
        read_card(tmp_path / "a.keras")


def test_a_model_that_cannot_be_saved_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.common.backend import keras

    class Full(keras.layers.Layer):
        def save_own_variables(self, store: object) -> None:
            raise OSError(28, "No space left on device")

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    model = keras.Sequential([keras.Input((2,)), Full()])
    with pytest.raises(OSError, match="No space left"):
        save_model(tmp_path / "models" / "model.keras", model, make_card())
    assert [*(tmp_path / "tmp").iterdir(), *(tmp_path / "models").iterdir()] == []
    assert tempfile.tempdir == str(tmp_path / "tmp")


@pytest.mark.parametrize(
    "config",
    [
        "[" * 100_000 + "]" * 100_000,
        "[1]",
        "5",
        '{"module": "os", "class_name": "system", "config": {"command": "touch pwned"}}',
    ],
)
def test_a_config_of_anything_is_told_in_words(config: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as made:
        made.writestr("config.json", config)
        made.writestr("metadata.json", "{}")
        made.writestr("model.weights.h5", "")
    with pytest.raises(DarkroomError, match=r"odd\.keras: not a readable Keras model"):
        load_model(tmp_path / "odd.keras")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_names": ["cat", "cat"]}, "two of its classes have one name"),
        ({"class_names": [1, 2]}, "no list of texts"),
        ({"class_names": "cat"}, "no list of texts"),
        ({"class_names": []}, "no list of texts"),
        ({"form": ImageForm(-1, "crop", "#ffffff")}, "have no size"),
        ({"class_names": ["cat", "cow", "dog"]}, "gives 2 classes of 16 px.* 3 of 16 px"),
        ({"form": ImageForm(8, "crop", "#ffffff")}, "gives 2 classes of 16 px.* 2 of 8 px"),
    ],
)
def test_a_card_that_no_training_wrote_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = make_model(tmp_path / "model.keras")
    with zipfile.ZipFile(file) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    card = replace(make_card(), **change)
    held["darkroom.json"] = json.dumps(asdict(card)).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    with pytest.raises(DarkroomError, match=rf"model\.keras: .*{words}"):
        Classifier(file)


def test_weights_that_are_no_numbers_give_no_answer(tmp_path: Path) -> None:
    """The first class was answered, with the probability nan."""
    from components.common.backend import keras

    file = make_model(tmp_path / "model.keras")
    network = keras.models.load_model(file)
    network.set_weights([np.full_like(one, np.nan) for one in network.get_weights()])
    save_model(tmp_path / "nan.keras", network, make_card())
    Image.new("RGB", (20, 20)).save(tmp_path / "photo.png")
    classifier = Classifier(tmp_path / "nan.keras")
    with pytest.raises(DarkroomError, match=r"nan\.keras: its answers are not numbers"):
        classifier.classify([tmp_path / "photo.png"])
    with pytest.raises(DarkroomError, match="are not numbers"):
        classifier.warm_up()

"""What is no model of ours is told in words, and nothing of it is run."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import pytest

from components.common.artifacts.model import load_model, save_model
from components.common.errors import DarkroomError
from tests.tiny_model import make_card


def test_code_in_a_model_file_is_not_run(tmp_path: Path) -> None:
    from components.common.backend import keras

    inner = keras.layers.Lambda(lambda x: x + 1)  # Keras keeps its bytecode in the file
    keras.Sequential([keras.Input((2,)), inner]).save(tmp_path / "lambda.keras")
    with pytest.raises(DarkroomError, match=r"code of its own.*save the model without it") as told:
        load_model(tmp_path / "lambda.keras")
    assert "enable_unsafe" not in str(told.value)


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

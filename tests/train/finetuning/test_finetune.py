"""The second phase: what stays frozen, what its state holds, what is refused."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import (
    LOGITS,
    Calibration,
)
from components.common.errors import DarkroomError
from components.common.files.writing import read_json
from components.common.shards.examples import read_split
from components.train.finetuning.fitting import Finetuning, Progress
from components.train.networks.backbones import find_backbone
from components.train.networks.network import find_bodies, to_float32
from components.train.runtime.devices import set_precision
from tests.train.finetuning.steps import (
    make_material,
    make_recipe,
    read_weights,
    train,
)
from tests.train.tiny_run import run_tiny


def test_batchnorm_statistics_stay_while_the_rest_moves(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    network = create()
    before = read_weights(network)
    train(network, shards, tmp_path, make_recipe(learning_rate=0.01))
    after = read_weights(network)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {path for path in before if "norm" not in path and "scaling" not in path}


@pytest.mark.slow
def test_random_weights_learn_their_batchnorm_statistics(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    from components.common.backend import keras

    network = create(scratch=True)
    train(network, shards, tmp_path, make_recipe(learning_rate=1e-8, epochs=8))
    (body,) = find_bodies(network)
    norm = body.get_layer("norm")
    assert norm.trainable
    pixels = read_split(shards, "train").pixels
    scaled = pixels[:] / 127.5 - 1.0
    below = np.asarray(keras.Model(body.input, body.get_layer("low").output)(scaled))
    # The weights hardly moved, so the statistics are those of the images, but for augmentation.
    # After few steps they are part of the way from 0 and 1, the same part for all channels.
    assert np.corrcoef(norm.moving_mean, below.mean(axis=(0, 1, 2)))[0, 1] > 0.98
    assert np.corrcoef(norm.moving_variance, below.var(axis=(0, 1, 2)))[0, 1] > 0.98
    saved = to_float32(network, find_backbone("Tiny"), list("abcd"), Calibration())
    whole = keras.Model(network.input, network.get_layer(LOGITS).output)
    ours = keras.Model(saved.input, saved.get_layer(LOGITS).output)
    assert np.asarray(ours(pixels[:8])) == pytest.approx(
        np.asarray(whole(pixels[:8], training=False)), abs=1e-5
    )


@pytest.mark.parametrize(
    ("unfrozen", "moving"), [(0, set()), (1, {"high"}), (2, {"high", "low"}), (9, {"high", "low"})]
)
def test_only_the_top_layers_move(
    create: Any, shards: Path, tmp_path: Path, unfrozen: int, moving: set[str]
) -> None:
    network = create(unfrozen)
    before = read_weights(network)
    train(network, shards, tmp_path, make_recipe(learning_rate=0.01, epochs=1))
    after = read_weights(network)
    moved = {path.split("/")[0] for path in before if (before[path] != after[path]).any()}
    assert moved == {"logits"} | moving


def test_loss_that_is_no_number_is_refused(create: Any, shards: Path, tmp_path: Path) -> None:
    network = create()
    weight = next(w for w in network.trainable_weights if w.path == "logits/kernel")
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(DarkroomError, match=r"loss became (nan|inf).*learning_rate"):
        train(network, shards, tmp_path, make_recipe())


@pytest.mark.parametrize(
    "precision",
    ["float32", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bfloat16", "float16"))],
)
def test_a_state_holds_all_that_the_next_step_depends_on(
    create: Any, shards: Path, precision: str
) -> None:
    from components.common.backend import keras

    material = make_material(shards, make_recipe(dropout=0.3, learning_rate=0.01))
    set_precision(precision)
    try:
        whole = Finetuning(create(), material, Progress(1))
        whole.fit(range(3))
        state, progress = whole.read_state(), replace(whole.progress)
        whole.fit(range(3, 6))
        again = Finetuning(create(), material, progress)
        again.write_state(state)
        again.fit(range(3, 6))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert len(state) > 20
    for name, value in whole.read_state().items():
        np.testing.assert_array_equal(again.read_state()[name], value, name)
    assert again.progress == whole.progress
    scaled = [value for value in state.values() if value.shape == () and value == 2.0**15]
    assert len(scaled) == (precision == "float16")  # the factor that keeps small gradients


@pytest.mark.slow
def test_out_of_memory_halves_the_batch(
    create: Any, shards: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    fit = Finetuning.fit
    real = Finetuning.__init__
    seen = []

    def limited(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        run = self.model.fit

        def within_memory(batches: Any, **options: Any) -> Any:
            size = int(next(iter(batches))[0].shape[0])
            seen.append(size)
            if size > 4:
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
            return run(batches, **options)

        self.model.fit = within_memory

    monkeypatch.setattr(Finetuning, "__init__", limited)
    assert len(train(create(), shards, tmp_path, make_recipe())) == 2
    assert Finetuning.fit is fit
    assert max(seen[1:]) == 4
    assert "out of memory with 8 images at once: going on with 4" in capsys.readouterr().out


@pytest.mark.slow
def test_same_seed_same_history_with_mlflow_or_without(
    shards: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, address in (("one", ""), ("two", "http://127.0.0.1:9")):  # nothing listens there
        folder = mlflow_store / name
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address or os.environ["MLFLOW_TRACKING_URI"])
        run_tiny(shards, folder, finetune={"epochs": 2, "dropout": 0.3})
        with (folder / "history.csv").open() as stream:
            rows.append(
                [
                    {key: value for key, value in row.items() if "second" not in key}
                    for row in csv.DictReader(stream)
                ]
            )
        assert (folder / "training/augmented.png").stat().st_size > 0
    assert rows[0] == rows[1]
    kept = read_json(mlflow_store / "two/run.json")["unsent"]
    losses = [line["metrics"]["val_loss"] for line in kept if "val_loss" in line.get("metrics", {})]
    assert losses == [float(row["val_loss"]) for row in rows[0]]
    assert "unsent" not in read_json(mlflow_store / "one/run.json")

"""The second phase: what stays frozen, what is kept, what is refused."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from components.common.artifacts.history import Epoch
from components.common.artifacts.model import (
    LOGITS,
    Calibration,
    load_model,
    read_card,
    save_model,
    take_part,
)
from components.common.errors import DarkroomError
from components.common.files.writing import read_json
from components.common.shards.examples import read_split
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.finetuning.finetune import run_finetuning
from components.train.finetuning.fitting import Finetuning, Progress, to_numpy
from components.train.finetuning.optimizers import compute_scales, create_optimizer
from components.train.networks.backbones import find_backbone
from components.train.networks.network import create_network, find_bodies, to_float32, unfreeze
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import set_precision
from components.train.selection.kept import Contest, Judged
from components.train.selection.rules import Plan
from components.train.selection.scores import compute_log_loss
from components.train.spec import Augment, Finetune
from tests.tiny_model import make_card
from tests.train.tiny_run import create_tiny, register_tiny, run_tiny

ROW = Epoch("probe", 0, None, 1.0, 0.3, 2.0, 0.2, 1.0)
PROBE = Judged(ROW, np.full(24, 9.0))
UNBEATABLE = Judged(ROW, np.full(24, -1.0))


def make_recipe(augment: dict[str, Any] | None = None, **finetune: Any) -> Recipe:
    settings = Finetune(**({"epochs": 2, "batch_size": 8, "dropout": 0.0} | finetune))
    return Recipe(settings, Augment(**(augment or {})), flip=False, seed=0, classes=4)


@pytest.fixture
def create() -> Callable[..., Any]:
    from components.common.backend import keras

    def make(unfrozen: int | str = "all", scratch: bool = False) -> Any:
        register_tiny()
        keras.utils.set_random_seed(0)
        body = create_tiny(False, None, (32, 32, 3))
        network = create_network(
            find_backbone("Tiny"), body, list("abcd"), size_px=32, dropout=0.0, scratch=scratch
        )
        unfreeze(network, unfrozen, scratch)
        return network

    return make


def make_material(shards: Path, recipe: Recipe) -> Material:
    return Material(read_split(shards, "train"), read_split(shards, "val"), recipe)


def train(
    network: Any, shards: Path, folder: Path, recipe: Recipe, first: Judged = PROBE, **plan: Any
) -> list[Epoch]:
    made = Plan(recipe.finetune, **({"rates": (recipe.finetune.rate,)} | plan))
    rows = run_finetuning(
        network,
        make_material(shards, recipe),
        contest=Contest(first),
        checkpoint=Checkpoint(folder / "model.keras", {}),
        plan=made,
    )
    return list(rows)


def read_weights(network: Any) -> dict[str, np.ndarray]:
    return {weight.path: to_numpy(weight) for weight in network.weights}


def test_batchnorm_statistics_stay_while_the_rest_moves(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    network = create()
    before = read_weights(network)
    train(network, shards, tmp_path, make_recipe(learning_rate=0.01))
    after = read_weights(network)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {path for path in before if "norm" not in path and "scaling" not in path}


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


def test_probe_is_kept_when_it_is_not_beaten(create: Any, shards: Path, tmp_path: Path) -> None:
    network = create()
    before = read_weights(network)
    train(network, shards, tmp_path, make_recipe(learning_rate=0.01), UNBEATABLE)
    after = read_weights(network)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_loss_that_is_no_number_is_refused(create: Any, shards: Path, tmp_path: Path) -> None:
    network = create()
    weight = next(w for w in network.trainable_weights if w.path == "logits/kernel")
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(DarkroomError, match=r"loss became (nan|inf).*learning_rate"):
        train(network, shards, tmp_path, make_recipe())


def test_weights_are_not_replaced_by_their_mean_between_fits(create: Any, shards: Path) -> None:
    network = create()
    material = make_material(shards, make_recipe(ema_momentum=0.99))
    phase = Finetuning(network, material, Progress(1))
    phase.fit(range(5))
    means = phase.optimizer._model_variables_moving_average
    pairs = list(zip(phase.model.trainable_variables, means, strict=True))
    assert not any(np.array_equal(to_numpy(own), to_numpy(mean)) for own, mean in pairs)
    with phase.averaged():
        assert all(np.array_equal(to_numpy(own), to_numpy(mean)) for own, mean in pairs)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
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


def test_early_stopping(create: Any, shards: Path, tmp_path: Path) -> None:
    recipe = make_recipe(learning_rate=1e-8, epochs=9, patience=2)
    assert len(train(create(), shards, tmp_path, recipe, UNBEATABLE)) == 2


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


def test_accumulated_halves_step_as_one_whole(create: Any, shards: Path) -> None:
    # Gradients are means over equal parts, so two halves give the step of the whole.
    weights = []
    for accumulate in (1, 2):
        network = create()
        recipe = make_recipe(optimizer="sgd", learning_rate=0.01, warmup_fraction=0.0)
        phase = Finetuning(network, make_material(shards, recipe), Progress(100, accumulate))
        phase.fit(range(3))
        weights.append(read_weights(network))
    for path, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][path], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_layer_decay_slows_the_lower_layers(create: Any, optimizer: str) -> None:
    from components.common.backend import keras

    network = create()
    variables = network.trainable_variables
    settings = Finetune(optimizer=optimizer, learning_rate=0.1, warmup_fraction=0, weight_decay=0.0)
    scales = compute_scales(network, 0.5)
    before = read_weights(network)
    steps = create_optimizer(settings, 10, scales)
    steps.apply([keras.ops.ones(variable.shape) for variable in variables], variables)
    moved = {
        path.split("/")[0]: float(np.abs(value - before[path]).mean())
        for path, value in read_weights(network).items()
    }
    assert moved["high"] == pytest.approx(moved["logits"] / 2, rel=1e-3)
    assert moved["low"] == pytest.approx(moved["logits"] / 4, rel=1e-3)


def test_weight_decay_follows_the_rate_of_its_layer(create: Any) -> None:
    from components.common.backend import keras

    network = create()
    variables = network.trainable_variables
    settings = Finetune(learning_rate=0.1, warmup_fraction=0, weight_decay=0.2)
    scales = compute_scales(network, 0.5)
    for variable in variables:
        variable.assign(keras.ops.ones(variable.shape))
    steps = create_optimizer(settings, 10, scales)
    steps.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    lost = {variable.path: 1 - float(np.asarray(variable).mean()) for variable in variables}
    # Decoupled: the rate times the decay, whatever the gradients are.
    expected = {"logits/kernel": 0.02, "logits/bias": 0, "high/kernel": 0.01, "high/bias": 0}
    expected |= {"low/kernel": 0.005}
    assert lost == pytest.approx(expected, abs=1e-6)


def test_saved_network_is_float32_and_answers_the_same(create: Any, shards: Path) -> None:
    from components.common.backend import keras

    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = create()
        plain = to_float32(network, find_backbone("Tiny"), list("abcd"), Calibration(2.0))
        assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert {
        layer.dtype_policy.compute_dtype for body in find_bodies(plain) for layer in body.layers
    } == {"float32"}
    pixels = read_split(shards, "val").pixels
    short = network.predict(pixels, verbose=0).argmax(axis=1)
    assert (plain.predict(pixels, verbose=0).argmax(axis=1) == short).mean() > 0.9


def test_calibration_is_in_the_saved_network(create: Any, shards: Path, tmp_path: Path) -> None:
    network, pixels = create(), read_split(shards, "val").pixels
    logits = take_part(network, LOGITS).predict(pixels, verbose=0)
    made = Calibration(1.5, [0.5, 1.0, 2.0, 1.5], [0.3, -0.1, 0.0, 2.0])
    plain = to_float32(network, find_backbone("Tiny"), list("abcd"), made)
    card = make_card(tuple("abcd"))
    card = replace(card, temperature=1.5, scales=made.scales, offsets=made.offsets)
    save_model(tmp_path / "model.keras", plain, card)
    assert read_card(tmp_path / "model.keras").calibration == made
    expected = softmax(logits * np.array(made.scales) / 1.5 + np.array(made.offsets), axis=1)
    found = load_model(tmp_path / "model.keras").predict(pixels, verbose=0)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.abs(found - softmax(logits, axis=1)).max() > 0.1


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


def test_the_running_mean_is_over_few_steps_at_first() -> None:
    from components.common.backend import keras

    settings = Finetune(optimizer="sgd", learning_rate=0.1, warmup_fraction=0, ema_momentum=0.9)
    for accumulate in (1, 2):
        variable = keras.Variable(np.zeros(1))
        optimizer = create_optimizer(settings, 1000, accumulate=accumulate)
        mean = 0.0
        for part in range(120):
            optimizer.apply([np.ones(1)], [variable])
            steps = part / accumulate
            momentum = min((1 + steps) / (10 + steps), 0.9) ** (1 / accumulate)
            value = float(to_numpy(variable)[0])
            is_first = part < accumulate  # Keras begins with the first step, its parts included
            mean = value if is_first else momentum * mean + (1 - momentum) * value
            found = float(to_numpy(optimizer._model_variables_moving_average[0])[0])
            assert found == pytest.approx(mean, rel=1e-4)


AUTO_PLAN: dict[str, Any] = {"rates": (0.01, 0.0025), "may_stop": True, "blends": True}


def test_what_gains_nothing_is_tried_once_more_and_ended(
    create: Any, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = create()
    before = read_weights(network)
    rows = train(network, shards, tmp_path, make_recipe(epochs=8), UNBEATABLE, **AUTO_PLAN)
    assert [row.epoch for row in rows if row.blend is None] == [1, 2, 3, 4]
    told = capsys.readouterr().out
    assert "once more from the probe, with learning rate 0.0025" in told
    assert "fine-tuning ends, nothing is to be gained" in told
    assert all(np.array_equal(before[path], after) for path, after in read_weights(network).items())


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_blend_of_probe_and_outcome_is_kept_where_it_is_better(
    create: Any, shards: Path, tmp_path: Path, stopped_after: int
) -> None:
    """And a run that was stopped on the way ends with the same weights."""
    recipe = make_recipe(epochs=4, learning_rate=0.02)
    val, logits = read_split(shards, "val"), []
    networks = [create(), create()]
    rows = train(networks[0], shards, tmp_path / "whole", recipe, PROBE, **AUTO_PLAN)
    kept = [row for row in rows if row.blend] or rows[:1]
    material = make_material(shards, recipe)
    plan = Plan(recipe.finetune, **AUTO_PLAN)
    for network in (create(), networks[1]):
        again = run_finetuning(
            network,
            material,
            contest=Contest(PROBE),
            checkpoint=Checkpoint(tmp_path / "part/model.keras", {}),
            plan=plan,
        )
        done = [next(again) for _ in range(stopped_after)] if network is not networks[1] else again
        timed = {"seconds": 0.0, "images_per_second": None}
        same = [replace(row, **timed) for row in done]
        assert same == [replace(row, **timed) for row in rows][: len(same)]
    assert len(same) == len(rows)
    for one, other in zip(*(network.weights for network in networks), strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    logits = take_part(networks[0], LOGITS).predict(val.pixels, verbose=0)
    losses = {row.epoch: row.val_loss for row in rows}
    assert compute_log_loss(logits, val.labels) == pytest.approx(
        losses[kept[-1].epoch], abs=1e-5
    ) or not any(row.blend for row in rows)


def test_no_epoch_begins_that_the_budget_does_not_hold(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    import time

    network = create()
    rows = run_finetuning(
        network,
        make_material(shards, make_recipe()),
        contest=Contest(PROBE),
        checkpoint=Checkpoint(tmp_path / "model.keras", {}),
        plan=Plan(make_recipe().finetune, rates=(1e-3,)),
        deadline=time.perf_counter() + 5,  # less than what follows is reckoned with
    )
    assert list(rows) == []

"""The optimizer: slower lower layers, decay, the running mean, accumulated gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.train.finetuning.fitting import Finetuning, Progress, to_numpy
from components.train.finetuning.optimizers import compute_scales, create_optimizer, is_decayed
from components.train.networks.backbones import create_body, find_backbone
from components.train.spec import Finetune
from tests.train.finetuning.steps import (
    make_material,
    make_recipe,
    read_weights,
)
from tests.train.networks.tiny_vit import DEPTH, DINOV2, write_timm


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


def test_of_a_transformer_only_kernels_decay(tmp_path: Path) -> None:
    write_timm(tmp_path / "net", DINOV2)
    body = create_body(find_backbone(str(tmp_path / "net")), "imagenet", 32)
    decayed = {weight.path.removesuffix("/kernel") for weight in body.weights if is_decayed(weight)}
    kernels = ("attn.query", "attn.key", "attn.value", "attn.proj", "mlp.fc1", "mlp.fc2")
    blocks = {f"blocks.{number}.{kernel}" for number in range(DEPTH) for kernel in kernels}
    assert decayed == blocks | {"embedding.patch"}

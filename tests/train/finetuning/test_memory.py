"""What a step wants of memory is reckoned first, and batches are cut to what is free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import LOGITS, take_part
from components.common.errors import DarkroomError
from components.train.finetuning import preflight
from components.train.finetuning.fitting import Progress
from components.train.finetuning.memory import estimate_need
from components.train.finetuning.preflight import SPARE, start_phase
from components.train.finetuning.remat import create_trained
from components.train.networks.catalogue import Backbone
from components.train.networks.network import create_network, unfreeze
from components.train.networks.scaling import SYMMETRIC
from components.train.networks.vit import Vit, create_vit
from components.train.run import run
from components.train.spec import Finetune, Inputs
from tests.train.finetuning.steps import make_material, make_recipe
from tests.train.tiny_run import make_outputs, make_params, register_tiny

WIDTH, HEADS, HIDDEN = 16, 4, 24
IMAGES = 11  # of a step whose graph is looked at
SOME = Backbone("net", 32, 1, 1, None, SYMMETRIC, False)


def test_a_batch_is_cut_before_the_machine_is_out_of_memory(
    create: Any, shards: Path, monkeypatch: Any, capsys: Any
) -> None:
    network, recipe = create(), make_recipe()
    need = estimate_need(take_part(network, LOGITS), recipe.finetune)
    monkeypatch.setattr(preflight, "find_free_memory", lambda: SPARE + need.count(3))
    phase = start_phase(network, make_material(shards, recipe), Progress(1))
    assert phase.progress.accumulate == 4  # of 8 images; two at once
    assert "a step with 2 images at once wants 0.0 to 0.7 GB" in capsys.readouterr().out
    monkeypatch.setattr(preflight, "find_free_memory", lambda: need.fixed)
    with pytest.raises(DarkroomError, match=r"one image at a time.*are free: lower train\.fine"):
        start_phase(network, make_material(shards, recipe), Progress(1))


def test_what_never_fits_is_said_before_the_probe(
    create: Any, shards: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """Of 100,000 images the probe took an hour, and then it was refused."""
    register_tiny()
    monkeypatch.setattr(preflight, "find_free_memory", lambda: 1000)
    with pytest.raises(DarkroomError, match=r"one image at a time.*are free: lower train\.fine"):
        run(Inputs(shards), make_outputs(tmp_path), make_params({}, {}))
    assert "probe" not in capsys.readouterr().out
    preflight.foresee_memory(create(), Finetune(), is_sure=False)  # the probe may do without it
    assert "one image at a time" in (said := capsys.readouterr().out)
    assert "The probe may be good enough without" in said
    monkeypatch.setattr(preflight, "find_free_memory", lambda: SPARE)
    preflight.foresee_memory(create(), Finetune(), is_sure=True)
    assert capsys.readouterr().out == ""


def test_memory_is_reckoned_from_what_is_kept(create: Any) -> None:
    settings = Finetune()
    network = create()
    trained, all_weights = sum(map(np.size, network.trainable_weights)), network.count_params()
    # 4 bytes: gradient, its sum, AdamW and its mean; copies of all, and of weights kept
    fixed = 4 * (2 * trained + 3 * trained + all_weights + 3 * trained + 2 * all_weights)
    # from the low convolution up: 8×8 and 3×3 places of it and ReLU, features, logits
    image = 4 * (2 * 8 * 8 * 8 + 2 * 3 * 3 * 16 + 2 * 16 + 16 + 4)
    need = estimate_need(take_part(network, LOGITS), settings)
    assert need.fixed == fixed
    with_lora = estimate_need(take_part(network, LOGITS), Finetune(lora_rank=8))
    assert with_lora.fixed == fixed + 4 * all_weights  # kernels with their updates
    assert need.image == image
    assert estimate_need(take_part(create(0), LOGITS), settings).image < image / 10


def find_source(tensor: Any) -> Any:
    """Return the tensor that one is, passed on or seen in another shape."""
    if tensor.op.type not in ("Identity", "IdentityN", "Reshape"):
        return tensor
    place = tensor.op.outputs.index(tensor) if tensor.op.type == "IdentityN" else 0
    return find_source(tensor.op.inputs[place])


def count_by_graph(model: Any) -> int:
    """Return the bytes of an image that TensorFlow's own graph of a step takes to the way back."""
    from components.common.backend import tf

    shape = tuple(model.input.shape[1:])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            out = tf.reduce_sum(model(pixels, training=True) ** 2)
        return tape.gradient(out, model.trainable_variables)

    graph = step.get_concrete_function(tf.TensorSpec((IMAGES, *shape), tf.float32)).graph
    live, todo = set(), [tensor.op for tensor in graph.outputs]
    while todo:
        operation = todo.pop()
        if operation not in live:
            live.add(operation)
            todo += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    back = {one for one in live if one.name.startswith(("gradient_tape/", "AddN"))}
    kept = {}
    for tensor in (find_source(tensor) for one in back for tensor in one.inputs):
        # Windows of images as well, but no kernel: none has as many sides.
        if tensor.op not in back and tensor.shape.rank and (tensor.shape[0] or 0) % IMAGES == 0:
            kept[tensor.name] = 4 * int(np.prod([side or 1 for side in tensor.shape]))
    return sum(kept.values()) // IMAGES


@pytest.mark.parametrize("activation", ["relu", "swish", "hard_silu", "gelu"])
def test_what_is_reckoned_is_what_the_graph_keeps(activation: str) -> None:
    from components.common.backend import keras

    layers = keras.layers
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(pixels)
    for _ in range(3):
        if activation == "gelu":  # as ConvNeXt has it
            hidden = layers.Dense(32)(layers.LayerNormalization()(x))
            x = layers.Add()([x, layers.Dense(8)(layers.Activation("gelu")(hidden))])
        else:  # as EfficientNet and MobileNet
            x = layers.BatchNormalization(trainable=False)(x)
            x = layers.ReLU(6.0)(x) if activation == "relu" else layers.Activation(activation)(x)
            x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    model = keras.Model(pixels, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    reckoned = estimate_need(model, Finetune()).image
    assert 0.8 < reckoned / count_by_graph(model) < (2.2 if activation == "relu" else 1.5)


def reckon(depth: int, unfrozen: int | str = "all", remat: bool = False) -> int:
    """Return the bytes of an image in a transformer of 4 × 4 patches, one token, width 16."""
    vit = Vit(size_px=32, patch_px=8, width=WIDTH, depth=depth, heads=HEADS, hidden=HIDDEN)
    body = create_vit(vit, 32, "net")
    network = create_network(SOME, body, list("abcd"), size_px=32, dropout=0.0)
    unfreeze(network, unfrozen)
    return estimate_need(create_trained(network, remat), Finetune()).image


@pytest.mark.slow
def test_of_blocks_that_are_computed_again_one_is_reckoned() -> None:
    tokens = 4 * 4 + 1
    # norms, query, key and value, answer, end and sum of attention, end and sum of the dense layers
    numbers = tokens * (WIDTH * (2 + 3 + 3 + 2) + HIDDEN) + 2 * HEADS * tokens**2
    each = (reckon(8) - reckon(4)) / 4
    assert 4 * numbers < each < 1.6 * 4 * numbers  # GELU is of several operations
    # What passes from block to block is kept of every one.
    assert reckon(8, remat=True) - reckon(4, remat=True) == 4 * 4 * tokens * WIDTH
    assert reckon(8, unfrozen=2) - reckon(8, unfrozen=1) == pytest.approx(each, rel=0.1)
    assert reckon(8, unfrozen=0) < each / 10

"""The smallest network of each family of the catalogue is reckoned, trained, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.common.artifacts.model import LOGITS, Calibration, load_model, save_model, take_part
from components.train.finetuning.memory import estimate_need
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import create_network, to_float32, unfreeze
from components.train.spec import Finetune
from tests.tiny_model import make_card

FAMILIES = [
    "EfficientNetLite0",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "DenseNet121",
    "ResNet50",
    "ResNet50V2",
    "InceptionV3",
    "InceptionResNetV2",
    "Xception",
    "VGG16",
    "ConvNeXtTiny",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_trained_and_saved(name: str, tmp_path: Path) -> None:
    from components.common.backend import keras, tf

    backbone, names = find_backbone(name), ["a", "b", "c"]
    size = backbone.min_size_px
    body = create_body(backbone, "none", size)
    network = create_network(backbone, body, names, size_px=size, dropout=0.0)
    unfreeze(network, "all")
    model = take_part(network, LOGITS)
    need = estimate_need(model, Finetune())
    weights = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert need.fixed > 4 * 4 * weights
    assert need.image > 4 * size * size  # of one channel

    pixels = np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype(np.uint8)
    before = [np.array(weight) for weight in model.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(tf.cast(pixels, "float32"), training=True) ** 2)
    for weight, slope in zip(
        model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True
    ):
        weight.assign_sub(1e-3 * tf.sign(slope))
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True)]
    assert np.mean(moved) > 0.2
    expected = np.asarray(network(pixels))

    file = tmp_path / "model.keras"
    plain = to_float32(network, backbone, names, Calibration())
    save_model(file, plain, make_card(tuple(names)))
    assert np.asarray(load_model(file)(pixels)) == pytest.approx(expected, abs=1e-5)
    keras.backend.clear_session()

"""Grad-CAM on every family of the catalogue, against its closed form for this kind of head."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import LOGITS
from components.evaluate.checks.gradcam import GradCam, Sanity, judge_sanity
from components.evaluate.report.words import describe_sanity
from components.train.networks.backbones import CATALOGUE, create_body, find_backbone
from components.train.networks.network import create_network, find_bodies

ROOT = Path(__file__).parents[3]
# What the names of a family begin with → its smallest member.
FAMILIES = {
    "EfficientNetLite": "EfficientNetLite0",
    "MobileNetV3": "MobileNetV3Small",
    "MobileNetV2": "MobileNetV2",
    "MobileNet": "MobileNet",
    "NASNet": "NASNetMobile",
    "EfficientNetV2": "EfficientNetV2B0",
    "EfficientNetB": "EfficientNetB0",
    "DenseNet": "DenseNet121",
    "ResNet50V2": "ResNet50V2",
    "ResNet": "ResNet50",
    "InceptionV": "InceptionV3",
    "InceptionResNet": "InceptionResNetV2",
    "Xception": "Xception",
    "VGG": "VGG16",
    "ConvNeXt": "ConvNeXtTiny",
}
# Of each way to end one: with BatchNorm and a last convolution, as residuals, plain.
QUICK = {"EfficientNetLite0", "MobileNetV2", "ResNet50V2", "VGG16"}
SIDE_PX, CLASSES = 128, 3  # at which every family has a map of more than one place


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Free the network of a test before the next one."""
    yield
    from components.common.backend import keras

    keras.backend.clear_session()


def create(name: str) -> Any:
    """Return a network of random weights whose head does not answer the same for all."""
    from components.common.backend import keras

    keras.utils.set_random_seed(0)
    backbone = find_backbone(name)
    body = create_body(backbone, "none", SIDE_PX)
    return create_network(backbone, body, list("abc"), size_px=SIDE_PX, dropout=0.2)


def compute_by_hand(network: Any, rectified: bool, pixels: Any, classes: Any) -> np.ndarray:
    """Return the maps of average pooling and one dense layer: its kernel is the slope."""
    (body,) = find_bodies(network)
    scaled = pixels.astype(np.float32)
    for layer in network.layers[1 : network.layers.index(body)]:  # the 1×1 convolution that scales
        scaled = np.asarray(layer(scaled))
    maps = np.asarray(body(scaled, training=False))  # (b, high, wide, channels)
    slopes = network.get_layer(LOGITS).get_weights()[0][:, classes].T  # (b, channels)
    if rectified:  # the head sees square roots
        slopes = slopes / (2 * np.sqrt(maps.mean(axis=(1, 2)) + 0.01))
    cam = np.maximum((slopes[:, None, None] * maps).sum(axis=3), 0)
    return np.asarray(cam / np.maximum(cam.max(axis=(1, 2), keepdims=True), 1e-30))


def test_every_network_of_the_catalogue_is_of_a_family_that_is_tested() -> None:
    for name in set(CATALOGUE) - {"Tiny"}:  # that other tests register
        assert any(name.startswith(family) for family in FAMILIES), name
    assert set(FAMILIES.values()) <= set(CATALOGUE)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] * (one not in QUICK)) for one in FAMILIES.values()],
)
def test_maps_of_every_family_are_those_of_the_closed_form(name: str) -> None:
    network = create(name)
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    classes = np.array([0, 1, 2])
    maps = GradCam(network).compute_maps(pixels, classes)
    assert maps.shape[0] == 3
    assert min(maps.shape[1:]) >= 2
    assert maps.max() == 1
    expected = compute_by_hand(network, find_backbone(name).rectified, pixels, classes)
    assert maps == pytest.approx(expected, abs=2e-3)


def test_shuffled_weights_give_other_maps_and_come_back() -> None:
    network = create("MobileNetV3Small")
    before = network.get_weights()
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    sanity = GradCam(network).check_sanity(pixels, np.arange(8) % CLASSES)
    assert sanity.images > 0
    assert 0 <= sanity.correlation <= 1
    for old, new in zip(before, network.get_weights(), strict=True):
        assert np.array_equal(old, new)


def test_maps_that_do_not_hang_on_the_weights_fail() -> None:
    """A network that only looks for what is bright: its maps survive any shuffle of one number."""
    from components.common.backend import keras

    pixels = keras.Input((16, 16, 3))
    flow = keras.layers.Rescaling(1 / 255)(pixels)
    flow = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(flow)
    flow = keras.layers.GlobalAveragePooling2D()(flow)
    logits = keras.layers.Dense(2, kernel_initializer="ones", name=LOGITS)(flow)
    network = keras.Model(pixels, logits)
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    sanity = GradCam(network).check_sanity(images, np.zeros(8, np.int64))
    assert sanity == Sanity(8, pytest.approx(1), False)
    assert "do not trust them" in describe_sanity(vars(sanity))
    few = GradCam(network).check_sanity(images[:4], np.zeros(4, np.int64))
    assert few == Sanity(4, pytest.approx(1), None)
    assert "4 maps are too few" in describe_sanity(vars(few))


@pytest.mark.parametrize(
    ("alike", "passed"),
    [([0.1, 0.3] * 8, True), ([0.9, 0.7] * 8, False), ([0.05, 0.85] * 8, None), ([0.1] * 7, None)],
)
def test_maps_are_judged_where_chance_leaves_no_doubt(
    alike: list[float], passed: bool | None
) -> None:
    assert judge_sanity(np.array(alike)).passed is passed


def test_a_map_of_one_place_proves_nothing() -> None:
    from components.common.backend import keras

    pixels = keras.Input((8, 8, 3))
    flow = keras.layers.Conv2D(4, 8, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    logits = keras.layers.Dense(2, name=LOGITS)(keras.layers.GlobalAveragePooling2D()(flow))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    sanity = GradCam(keras.Model(pixels, logits)).check_sanity(images, np.zeros(4, np.int64))
    assert sanity == Sanity(0, None, None)
    assert "cannot be checked" in describe_sanity(vars(sanity))


@pytest.mark.slow
def test_maps_are_the_same_on_jax() -> None:
    """The other backend, in a process of its own: maps against the closed form once more."""
    code = (
        "import numpy as np\n"
        "from components.common.backend import keras\n"
        "from tests.evaluate.checks import test_gradcam as own\n"
        "from tests.train.tiny_run import register_tiny\n"
        "from components.evaluate.checks.gradcam import GradCam\n"
        "assert keras.backend.backend() == 'jax'\n"
        "register_tiny()\n"  # larger ones take JAX half a minute to compile on a CPU
        "network, classes = own.create('Tiny'), np.array([0, 1])\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)\n"
        "cam = GradCam(network)\n"
        "maps = cam.compute_maps(pixels, classes)\n"
        "expected = own.compute_by_hand(network, True, pixels, classes)\n"
        "images = cam.check_sanity(pixels, classes).images\n"
        "print(np.abs(maps - expected).max(), maps.max(), images)\n"
    )
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    gap, top, images = done.stdout.split()[-3:]
    assert float(gap) < 2e-3
    assert float(top) == 1
    assert int(images) > 0

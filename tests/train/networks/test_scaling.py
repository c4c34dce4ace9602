"""Each network is fed what its own `preprocess_input` in Keras would feed it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from components.train.networks.backbones import CATALOGUE, SHIPPED
from components.train.networks.scaling import LITE

# Module of keras.applications → how the names of its networks begin.
MODULES = {
    "mobilenet": ("MobileNet",),
    "mobilenet_v2": ("MobileNetV2",),
    "mobilenet_v3": ("MobileNetV3Small", "MobileNetV3Large"),
    "nasnet": ("NASNetMobile", "NASNetLarge"),
    "efficientnet": tuple(f"EfficientNetB{n}" for n in range(8)),
    "efficientnet_v2": tuple(f"EfficientNetV2{n}" for n in ("B0", "B1", "B2", "B3", *"SML")),
    "densenet": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "resnet": ("ResNet50", "ResNet101", "ResNet152"),
    "resnet_v2": ("ResNet50V2", "ResNet101V2", "ResNet152V2"),
    "inception_v3": ("InceptionV3",),
    "inception_resnet_v2": ("InceptionResNetV2",),
    "xception": ("Xception",),
    "vgg16": ("VGG16",),
    "vgg19": ("VGG19",),
    "convnext": tuple(f"ConvNeXt{n}" for n in ("Tiny", "Small", "Base", "Large", "XLarge")),
}
CASES = [(name, module) for module, names in MODULES.items() for name in names]


def test_every_network_has_its_case() -> None:
    others = {*SHIPPED, "Tiny"}  # our own, and the one that other tests register
    assert {name for name, _ in CASES} == set(CATALOGUE) - others


@pytest.mark.parametrize(("name", "module"), CASES)
def test_scaling_is_that_of_keras(name: str, module: str) -> None:
    from components.common.backend import keras

    prepare = importlib.import_module(f"keras.applications.{module}").preprocess_input
    assert getattr(keras.applications, name).__module__.endswith(f".{module}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.float32)
    scaling = CATALOGUE[name].scaling
    ours = pixels
    if scaling is not None:
        kernel, bias = scaling.as_convolution()
        ours = np.asarray(keras.ops.conv(pixels, kernel)) + bias
    assert ours == pytest.approx(prepare(pixels.copy()), abs=2e-4)


def test_what_scales_inside_holds_a_scaling_layer() -> None:
    from components.common.backend import keras

    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    scaled = network.layers[1](np.full((1, 1, 1, 3), 255.0, np.float32))
    assert isinstance(network.layers[1], keras.layers.Rescaling)
    assert np.asarray(scaled) == pytest.approx(1.0)


def test_the_lite_scaling_is_that_of_its_authors() -> None:
    kernel, bias = LITE.as_convolution()
    assert (np.array([0.0, 127.0, 255.0]) @ kernel[0, 0] + bias).tolist() == [-127 / 128, 0.0, 1.0]

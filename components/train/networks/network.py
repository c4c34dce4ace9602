"""The network that is trained: pixels → scaling → backbone → features → new softmax head."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.common.artifacts.model import LOGITS, PROBABILITIES, TEMPERATURE, Calibration
from components.common.backend import keras
from components.train.networks.backbones import Backbone

FEATURES, HEAD_INPUT, SCALING = "features", "head_input", "scaling"


def create_network(
    backbone: Backbone,
    body: keras.Model,
    class_names: list[str],
    *,
    size_px: int,
    dropout: float,
    calibration: Calibration | None = None,
) -> keras.Model:
    """Return the whole classifier on top of a backbone's body.

    Args:
        backbone: what the catalogue says of the body.
        body: (size_px, size_px, 3) → (high, wide, channels), with its weights.
        class_names: one output each.
        size_px: side of the square images.
        dropout: share of the features that training drops before the head.
        calibration: of the logits; None: they go into the softmax as they are.

    Returns:
        A Keras model: (size_px, size_px, 3) pixels, 0 to 255 → (classes,) probabilities. The layers
        `logits`, `temperature` and `probabilities` end it.
    """
    layers = keras.layers
    pixels = keras.Input((size_px, size_px, 3), name="pixels")
    # `training=False` for good: BatchNorm then uses its ImageNet statistics while its network is
    # fine-tuned.
    maps = body(_scale(pixels, backbone), training=False)  # (high, wide, channels)
    features = layers.GlobalAveragePooling2D(name=FEATURES, dtype="float32")(maps)  # (channels,)
    if backbone.rectified:
        # Square roots of the (never negative) features: a linear head does better on them, because
        # a few strong channels no longer drown the rest. Power normalisation, Perronnin et al.
        # 2010. The small term keeps the slope finite at 0.
        features = keras.ops.sqrt(features + 0.01)
    features = layers.Dropout(dropout, name=HEAD_INPUT, dtype="float32")(features)
    logits = layers.Dense(len(class_names), name=LOGITS, dtype="float32")(features)  # (classes,)
    scaled = _calibrate(logits, calibration or Calibration())
    return keras.Model(
        pixels, layers.Softmax(name=PROBABILITIES, dtype="float32")(scaled), name="darkroom"
    )


def set_head(network: keras.Model, weights: np.ndarray, bias: np.ndarray) -> None:
    """Put a linear classifier into the head: weights (channels, classes), bias (classes,)."""
    network.get_layer(LOGITS).set_weights([weights, bias])


def to_float32(
    network: keras.Model, backbone: Backbone, class_names: list[str], calibration: Calibration
) -> keras.Model:
    """Return the network as it is saved: in float32, its logits calibrated.

    Training may compute in shorter numbers, which a CPU that serves the model is slower with.
    """
    body = find_body(network)
    policy = keras.mixed_precision.dtype_policy()
    distribution = keras.distribution.distribution()
    keras.mixed_precision.set_dtype_policy("float32")
    keras.distribution.set_distribution(None)
    try:
        # From its config, each layer would keep the number format that it was made with.
        config = _without_formats(body.get_config())
        plain = keras.Model.from_config(config)
        size = network.input.shape[1]
        whole = create_network(
            backbone, plain, class_names, size_px=size, dropout=0.0, calibration=calibration
        )
        for to, own in zip(whole.weights, network.weights, strict=True):
            to.assign(keras.ops.convert_to_numpy(own))
        return whole
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
        keras.distribution.set_distribution(distribution)


def find_body(network: keras.Model) -> keras.Model:
    """Return the backbone inside a network of :func:`create_network`."""
    return next(layer for layer in network.layers if isinstance(layer, keras.Model))


def list_layers(network: keras.Model) -> list[Any]:
    """Return all layers from the bottom up, those of networks inside in their place."""
    found: list[Any] = []
    for layer in network.layers:
        found += list_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _without_formats(config: Any) -> Any:
    """Return a layer's config without dtypes, all the way down."""
    if isinstance(config, dict):
        return {key: _without_formats(value) for key, value in config.items() if key != "dtype"}
    return [_without_formats(item) for item in config] if isinstance(config, list) else config


def unfreeze(network: keras.Model, layers_from_top: int | str) -> int:
    """Make the top layers of the backbone trainable; BatchNorm never is.

    Args:
        network: of :func:`create_network`.
        layers_from_top: `all`, or how many layers with weights, counted from the top.

    Returns:
        How many numbers train, the head's included.
    """
    body = find_body(network)
    body.trainable = True
    weighted = [layer for layer in list_layers(body) if layer.weights]
    chosen = (
        weighted if layers_from_top == "all" else weighted[len(weighted) - int(layers_from_top) :]
    )
    for layer in weighted:
        is_statistics = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer in chosen and not is_statistics
    return sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def _calibrate(logits: Any, calibration: Calibration) -> Any:
    """Return the logits that the softmax is taken of, by one layer of Keras's own."""
    scale: Any = 1.0 / calibration.temperature
    if calibration.scales:
        scale = [scale * one for one in calibration.scales]
    offset: Any = calibration.offsets or 0.0
    return keras.layers.Rescaling(scale, offset, name=TEMPERATURE, dtype="float32")(logits)


def _scale(pixels: Any, backbone: Backbone) -> Any:
    """Bring pixels, RGB 0 to 255, to what the backbone was pretrained on.

    Every published scaling is linear in the colours, so one frozen 1×1 convolution holds them all:
    its kernel scales, or swaps RGB for BGR, and its bias shifts. No code of ours is then in the
    saved model.
    """
    if backbone.scaling is None:
        return pixels
    kernel, bias = backbone.scaling.as_convolution()
    layer = keras.layers.Conv2D(3, 1, name=SCALING, trainable=False, dtype="float32")
    layer.build(pixels.shape)
    layer.set_weights([kernel, bias])
    return layer(pixels)

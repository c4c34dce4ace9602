"""The network that is trained: pixels → scaling → backbone → features → new softmax head."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.common.artifacts.model import (
    LOGITS,
    PLACES,
    PREFIX,
    PROBABILITIES,
    TEMPERATURE,
    Calibration,
)
from components.common.backend import keras
from components.train.networks.catalogue import Backbone
from components.train.networks.groups import list_groups
from components.train.networks.lora import attach_lora, read_merged

FEATURES, HEAD_INPUT, SCALING = "features", "head_input", "scaling"
# Of BatchNorm that learns: PyTorch's. With Keras's 0.99 a short run would end before its statistics
# are those of its images.
SCRATCH_MOMENTUM = 0.9
_TRAINING = ("dtype", "lora_rank", "lora_alpha")  # of configs: what is for training alone


def create_network(
    backbone: Backbone,
    body: keras.Model,
    class_names: list[str],
    *,
    size_px: int,
    dropout: float,
    calibration: Calibration | None = None,
    scratch: bool = False,
) -> keras.Model:
    """Return the whole classifier on top of a backbone's body.

    Args:
        backbone: what the catalogue says of the body.
        body: of :func:`create_body`, with its weights.
        class_names: one output each.
        size_px: side of the square images.
        dropout: share of the features that training drops before the head.
        calibration: of the logits; None: they go into the softmax as they are.
        scratch: the weights are random, so BatchNorm has no statistics yet and learns them.

    Returns:
        A Keras model: (size_px, size_px, 3) pixels, 0 to 255 → (classes,) probabilities. The layers
        `logits`, `temperature` and `probabilities` end it.
    """
    return _assemble(
        backbone,
        _cut(body),
        class_names,
        size_px=size_px,
        dropout=dropout,
        calibration=calibration,
        scratch=scratch,
    )


def _assemble(
    backbone: Backbone,
    parts: list[keras.Model],
    class_names: list[str],
    *,
    size_px: int,
    dropout: float,
    calibration: Calibration | None,
    scratch: bool = False,
) -> keras.Model:
    layers = keras.layers
    pixels = keras.Input((size_px, size_px, 3), name="pixels")
    # `training=False` for good: BatchNorm then uses its ImageNet statistics while its network is
    # fine-tuned. Statistics that nobody has measured would only keep a network from learning.
    mode = {} if scratch else {"training": False}
    found = _scale(pixels, backbone)
    found = parts[0](found, **mode)
    for part in parts[1:]:
        found = part(_name_tokens(found), **mode)
    if len(found.shape) == 4:  # a map (high, wide, channels)
        features = layers.GlobalAveragePooling2D(name=FEATURES, dtype="float32")(found)
    else:
        features = layers.Activation("linear", name=FEATURES, dtype="float32")(found)
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
    bodies = find_bodies(network)
    policy = keras.mixed_precision.dtype_policy()
    distribution = keras.distribution.distribution()
    keras.mixed_precision.set_dtype_policy("float32")
    keras.distribution.set_distribution(None)
    try:
        # From its config, each layer would keep the number format that it was made with.
        plain = [_create_plain(body) for body in bodies]
        size = network.input.shape[1]
        whole = _assemble(
            backbone, plain, class_names, size_px=size, dropout=0.0, calibration=calibration
        )
        for to, own in zip(whole.weights, read_merged(network), strict=True):
            to.assign(own)
        return whole
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
        keras.distribution.set_distribution(distribution)


def find_bodies(network: keras.Model) -> list[keras.Model]:
    """Return the backbone inside a network of :func:`create_network`: in one part, or two."""
    return [layer for layer in network.layers if isinstance(layer, keras.Model)]


def _cut(body: keras.Model) -> list[keras.Model]:
    """Return a network of tokens in two parts, so that what lies between them can be seen."""
    names = [layer.name for layer in body.layers]
    if PLACES not in names:
        return [body]
    found = [body.get_layer(name).output for name in (PLACES, PREFIX) if name in names]
    between = found if len(found) > 1 else found[0]
    lower = keras.Model(body.input, between, name=f"{body.name}_lower")
    return [lower, keras.Model(between, body.output, name=f"{body.name}_upper")]


def _name_tokens(between: Any) -> Any:
    """Pass on what is between the parts of a network, under names that can be found."""
    tensors = between if isinstance(between, list) else [between]
    named = zip((PLACES, PREFIX), tensors, strict=False)
    found = [keras.layers.Identity(name=name)(tensor) for name, tensor in named]
    return found if len(found) > 1 else found[0]


def _create_plain(body: keras.Model) -> keras.Model:
    """Return a part of a network anew, in float32, with random weights."""
    return keras.Model.from_config(_without_formats(body.get_config()))


def _without_formats(config: Any) -> Any:
    """Return a layer's config without dtypes and low-rank updates, all the way down."""
    if isinstance(config, dict):
        return {k: _without_formats(value) for k, value in config.items() if k not in _TRAINING}
    return [_without_formats(item) for item in config] if isinstance(config, list) else config


def unfreeze(
    network: keras.Model, layers_from_top: int | str, scratch: bool = False, lora_rank: int = 0
) -> int:
    """Make the top layers of the backbone trainable; of a pretrained one BatchNorm never is.

    Args:
        network: of :func:`create_network`.
        layers_from_top: `all`, or how many groups of layers, counted from the top, see
            :func:`list_groups`; more than there are is all.
        scratch: BatchNorm learns as well, and its statistics follow within some ten steps.
        lora_rank: of updates of the dense kernels, which then train in the place of all else of
            those layers; 0: the layers themselves train.

    Returns:
        How many numbers train, the head's included.
    """
    bodies = find_bodies(network)
    for body in bodies:
        body.trainable = True
    groups = list_groups(*bodies)
    frozen = 0 if layers_from_top == "all" else max(0, len(groups) - int(layers_from_top))
    for number, group in enumerate(groups):
        for layer in group:
            layer.trainable = number >= frozen
            for inner in layer._flatten_layers():  # itself, and what KerasHub puts into one
                if isinstance(inner, keras.layers.BatchNormalization):
                    inner.trainable = layer.trainable and scratch
                    inner.momentum = SCRATCH_MOMENTUM if scratch else inner.momentum
    if lora_rank:
        attach_lora((layer for group in groups[frozen:] for layer in group), lora_rank)
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

"""How much memory a step of training wants, reckoned from the network before it is tried.

Kept for the way back are the outputs of all layers from the lowest that trains up, and attention's
weights; of parts whose activations are computed again, what goes in, and one part's whole at a
time, with its gradients. Libraries and buffers add up to 0.7 GB on a CPU: docs/training.md says
what was taken beside what was reckoned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.common.backend import keras
from components.train.finetuning.remat import Rematerialized
from components.train.networks.nodes import Call, list_calls
from components.train.spec import Finetune

FLOAT = 4  # bytes of a weight, its gradient and what the optimizer keeps of it
# Arrays of the optimizer for each weight that trains, its running mean included.
SLOTS = {"adamw": 3, "adam": 3, "sgd": 2}
# What passes its input on as it is: nothing is kept for it a second time.
VIEWS = ("Reshape", "Identity", "InputLayer", "Dropout", "Flatten")
# Arrays as large as what comes out that TensorFlow keeps, by its own graph of a step: of GELU
# itself, its error function and the latter's square; of other functions one at most.
ARRAYS = {"gelu": 3, "hard_silu": 3, "relu": 0, "linear": 0}
UNKNOWN_ARRAYS = 4  # of a function of the network's own, such as GELU by tanh
NORM_ARRAYS = 2  # of a layer normalisation: what goes in, and that without its mean


@dataclass(frozen=True)
class Need:
    """What training wants of memory beside the network and its data, bytes."""

    fixed: int  # gradients, optimizer, and copies of the state and of the weights
    image: int  # activations of each image that passes at once

    def count(self, images: int) -> int:
        """Return the bytes for so many images at once."""
        return self.fixed + images * self.image


def estimate_need(model: keras.Model, settings: Finetune) -> Need:
    """Return what training a model wants.

    Args:
        model: of :func:`create_trained`.
        settings: of fine-tuning.
    """
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    others = sum(math.prod(weight.shape) for weight in model.weights)
    slots = SLOTS[settings.optimizer]
    # All of it while the speed is measured and where it is saved; the probe's and the best weights.
    copies = others + slots * trained + 2 * others
    if settings.lora_rank:  # kernels with their updates added, for the step that is on its way
        copies += others
    # A gradient, and its sum over the parts of a batch.
    fixed = FLOAT * ((2 + slots) * trained + copies)
    kept, largest, _ = _count_kept(model, trains=False)
    return Need(fixed, kept + 2 * largest)


def _count_kept(model: keras.Model, trains: bool) -> tuple[int, int, bool]:
    """Return what a model keeps until the way back.

    Args:
        model: the network, or one inside it.
        trains: whether something below it does.

    Returns:
        Bytes of an image that stay; the most for a part that is computed again; whether something
        trains up to its end.
    """
    kept = largest = 0
    for call in list_calls(model):
        operation = call.operation
        parts = _open(call, trains)
        if parts is not None:
            inside, most, trains = _count_kept(parts, trains)
            kept, largest = kept + inside, max(largest, most)
            continue
        trains = trains or bool(getattr(operation, "trainable_weights", None))
        if not trains:
            continue
        if isinstance(operation, Rematerialized):
            inside, *_ = _count_kept(operation.inner, trains)
            kept, largest = kept + _count_bytes(call), max(largest, inside)
        else:
            kept += _count_arrays(operation) * _count_bytes(call) + _count_inside(call)
    return kept, largest, trains


def _open(call: Call, trains: bool) -> keras.Model | None:
    """Return what is inside a layer made of others, if something up to its end trains."""
    trained = getattr(call.operation, "trainable_weights", None)
    if isinstance(call.operation, Rematerialized) or not (trains or trained):
        return None
    return call.open()


def _count_arrays(operation: Any) -> int:
    """Return how many arrays of the size of what comes out are kept of a layer.

    Of frozen BatchNorm a factor is enough, and of a ReLU what comes out of the layer before it. Of
    Keras's layer `ReLU` that is true as well, but the networks that have it, MobileNetV2 and
    EfficientNet-Lite, took more than they keep (docs/training.md): there it stands for the rest.
    """
    layers = keras.layers
    kind = type(operation).__name__
    found = 1
    if kind in VIEWS:
        found = 0
    elif isinstance(operation, layers.BatchNormalization):
        found = int(operation.trainable)
    elif isinstance(operation, layers.LayerNormalization):
        found = NORM_ARRAYS
    elif kind == "Gelu":
        found = UNKNOWN_ARRAYS if operation.approximate else ARRAYS["gelu"]
    elif kind == "HardSilu":
        found = ARRAYS["hard_silu"]
    elif (function := getattr(operation, "activation", None)) is not None:
        is_keras = getattr(keras.activations, getattr(function, "__name__", ""), None) is function
        arrays = ARRAYS.get(function.__name__, 1) if is_keras else UNKNOWN_ARRAYS
        found = arrays if isinstance(operation, layers.Activation) else 1 + arrays
    return found


def _count_inside(call: Call) -> int:
    """Return the bytes of what a layer of Keras keeps beside what comes out."""
    kind, item = type(call.operation).__name__, _count_item(call.node.outputs[0])
    if kind == "SeparableConv2D":  # what its first half makes, on as many places as there will be
        return math.prod((*call.made[0][:-1], call.given[0][-1])) * item
    if kind == "DotProductAttention":  # weights of tokens for tokens, before and after softmax
        (_, asking, heads, _), key = call.given[:2]  # (images, tokens, heads, of a head)
        return 2 * asking * key[1] * heads * item
    return 0


def _count_bytes(call: Call) -> int:
    """Return the bytes of an image in what comes out of a call."""
    pairs = zip(call.made, call.node.outputs, strict=True)
    return sum(math.prod(shape) * _count_item(tensor) for shape, tensor in pairs)


def _count_item(tensor: Any) -> int:
    """Return the bytes of a number; NumPy has no bfloat16, which is as wide as float16."""
    return np.dtype("float16" if tensor.dtype == "bfloat16" else tensor.dtype).itemsize

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
from components.train.networks.groups import list_nodes
from components.train.spec import Finetune

FLOAT = 4  # bytes of a weight, its gradient and what the optimizer keeps of it
# Arrays of the optimizer for each weight that trains, its running mean included.
SLOTS = {"adamw": 3, "adam": 3, "sgd": 2}
# What passes its input on as it is: nothing is kept for it a second time.
VIEWS = ("Reshape", "Identity", "InputLayer", "Dropout", "Flatten")
# Arrays as large as what comes out of GELU: itself, its error function and the latter's square.
GELU_ARRAYS = 3


@dataclass(frozen=True)
class Need:
    """What training wants of memory beside the network and its data, bytes."""

    fixed: int  # gradients, optimizer, and a copy of the state while the speed is measured
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
    copy = others + slots * trained
    # A gradient, and its sum over the parts of a batch.
    fixed = FLOAT * ((2 + slots) * trained + copy)
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
    for node in list_nodes(model):
        operation = node.operation
        if isinstance(operation, keras.Model):
            inside, most, trains = _count_kept(operation, trains)
            kept, largest = kept + inside, max(largest, most)
            continue
        trains = trains or bool(getattr(operation, "trainable_weights", None))
        if not trains:
            continue
        if isinstance(operation, Rematerialized):
            inside, *_ = _count_kept(operation.inner, trains)
            kept, largest = kept + _count_bytes(node), max(largest, inside)
        elif not _is_view(operation):
            kept += _count_arrays(operation) * _count_bytes(node) + _count_attention(node)
    return kept, largest, trains


def _is_view(operation: Any) -> bool:
    """Whether nothing more is kept of what comes out.

    Of frozen BatchNorm a factor is enough, and of a ReLU what comes out of the layer before it. Of
    Keras's layer `ReLU` that is true as well, but the networks that have it, MobileNetV2 and
    EfficientNet-Lite, took more than they keep (docs/training.md): there it stands for the rest.
    """
    if isinstance(operation, keras.layers.BatchNormalization):
        return not operation.trainable
    if isinstance(operation, keras.layers.Activation):
        return operation.activation in (keras.activations.linear, keras.activations.relu)
    return type(operation).__name__ in VIEWS


def _count_arrays(operation: Any) -> int:
    """Return how many arrays of the size of what comes out are kept of a layer."""
    activation = getattr(operation, "activation", None)
    is_gelu = (
        isinstance(operation, keras.layers.Activation) and activation is keras.activations.gelu
    )
    return GELU_ARRAYS if is_gelu else 1


def _count_attention(node: Any) -> int:
    """Return the bytes of attention's weights of tokens for tokens, before and after softmax."""
    if type(node.operation).__name__ != "DotProductAttention":
        return 0
    query, key = node.input_tensors[:2]  # (images, tokens, heads, of a head)
    _, asking, heads, _ = query.shape
    return int(2 * asking * key.shape[1] * heads * _count_item(query))


def _count_bytes(node: Any) -> int:
    """Return the bytes of an image in what comes out of a call."""
    return sum(math.prod(_find_shape(t, node)) * _count_item(t) for t in node.outputs)


def _find_shape(tensor: Any, node: Any) -> list[int]:
    """Return a tensor's shape without the images; a side that Keras does not know is the input's.

    Scales of channels are such layers: what comes out is as large as what went in.
    """
    given = node.input_tensors[0].shape if node.input_tensors else ()
    return [
        side or (given[place] if len(given) == len(tensor.shape) else 1) or 1
        for place, side in enumerate(tensor.shape)
    ][1:]


def _count_item(tensor: Any) -> int:
    """Return the bytes of a number; NumPy has no bfloat16, which is as wide as float16."""
    return np.dtype("float16" if tensor.dtype == "bfloat16" else tensor.dtype).itemsize

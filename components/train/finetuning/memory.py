"""How much memory a step of training wants, reckoned from the network before it is tried.

Kept for the way back are the outputs of all layers from the lowest that trains up, and attention's
weights; of parts whose activations are computed again, what goes in, and one part's whole at a
time, with its gradients. Allocators and libraries add some 0.5 GB on a CPU: docs/training.md says
what was taken beside what was reckoned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.common.backend import keras
from components.train.finetuning.remat import Rematerialized
from components.train.spec import Finetune

FLOAT = 4  # bytes of a weight, its gradient and what the optimizer keeps of it
# Arrays of the optimizer for each weight that trains, its running mean included.
SLOTS = {"adamw": 3, "adam": 3, "sgd": 2}
# What passes its input on as it is: nothing is kept for it a second time.
VIEWS = ("Reshape", "Identity", "InputLayer", "Dropout", "Flatten", "Activation")


@dataclass(frozen=True)
class Need:
    """What training wants of memory beside the network and its data, bytes."""

    fixed: int  # gradients, optimizer, and a copy of the state while the speed is measured
    image: int  # activations of each image that passes at once

    def count(self, images: int) -> int:
        """Return the bytes for so many images at once."""
        return self.fixed + images * self.image

    def fits(self, free: int) -> int:
        """Return how many images at once some bytes hold; 0 or less: not one."""
        return (free - self.fixed) // max(1, self.image)


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
    kept, largest = _count_kept(model, trains=False)
    return Need(fixed, kept + 2 * largest)


def _count_kept(model: keras.Model, trains: bool) -> tuple[int, int]:
    """Return bytes of an image that stay until the way back, and the most for a part made again."""
    kept = largest = 0
    for operation, tensors in _list_operations(model):
        trains = trains or bool(getattr(operation, "trainable_weights", None))
        if not trains:
            continue
        if isinstance(operation, Rematerialized):
            inside, _ = _count_kept(operation.inner, trains=True)
            kept, largest = kept + _count_bytes(tensors), max(largest, inside)
        elif isinstance(operation, keras.Model):
            inside, most = _count_kept(operation, trains=True)
            kept, largest = kept + inside, max(largest, most)
        elif not _is_view(operation):
            kept += _count_bytes(tensors) + _count_attention(operation, tensors)
    return kept, largest


def _is_view(operation: Any) -> bool:
    """Whether nothing is kept of what comes out; of frozen BatchNorm a factor is enough."""
    frozen = isinstance(operation, keras.layers.BatchNormalization) and not operation.trainable
    return frozen or type(operation).__name__ in VIEWS


def _list_operations(model: keras.Model) -> Iterator[tuple[Any, list[Any]]]:
    """Yield layers and operations with what comes out of them, from the bottom up."""
    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            yield node.operation, node.outputs


def _count_attention(operation: Any, tensors: list[Any]) -> int:
    """Return the bytes of attention's weights of tokens for tokens, before and after softmax."""
    if type(operation).__name__ != "DotProductAttention":
        return 0
    (found,) = tensors  # (images, tokens asking, heads, of a head)
    nodes = [node for node in operation._inbound_nodes if node.outputs[0] is found]
    key = nodes[0].input_tensors[1]
    asking, heads = found.shape[1:3]
    return 2 * asking * key.shape[1] * heads * np.dtype(_name(found.dtype)).itemsize


def _count_bytes(tensors: list[Any]) -> int:
    return sum(math.prod(t.shape[1:]) * np.dtype(_name(t.dtype)).itemsize for t in tensors)


def _name(dtype: str) -> str:
    return "float16" if dtype == "bfloat16" else dtype  # NumPy has none, and it is as wide

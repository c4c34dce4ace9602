"""Training that keeps no activations inside the blocks of a transformer, and computes them again.

A block's activations are then in memory only while its own gradients are taken; what is kept is
what passes from block to block (Chen et al. 2016). It costs one more forward pass of each block.
"""

from __future__ import annotations

import re
from typing import Any

from components.common.artifacts.model import LOGITS, take_part
from components.common.backend import keras
from components.common.errors import DarkroomError
from components.train.networks.network import find_bodies
from components.train.networks.nodes import list_nodes

FIRST = re.compile(r"^blocks\.\d+\.norm1$")  # the layer that each block begins with


class Rematerialized(keras.layers.Layer):  # type: ignore[misc]
    """A part of a network whose activations are not kept; its weights are the network's own."""

    def __init__(self, inner: keras.Model) -> None:
        super().__init__(name=f"{inner.name}_again")
        self.inner = inner

    def call(self, tokens: Any) -> Any:
        """Return what the part returns."""
        return keras.remat(self.inner)(tokens)


def has_blocks(network: keras.Model) -> bool:
    """Whether a network has parts whose activations can be computed again."""
    return any(_list_cuts(body) for body in find_bodies(network))


def check_remat(network: keras.Model, wanted: bool) -> None:
    """Raise DarkroomError if it is wanted of a network without blocks."""
    if wanted and not has_blocks(network):
        raise DarkroomError(
            "train.finetune.remat: this network has no blocks whose activations could be computed "
            "again; it is for the transformers that become plain Keras. Set it to false; a batch "
            "that memory does not hold is cut into parts by itself"
        )


def create_trained(network: keras.Model, remat: bool) -> keras.Model:
    """Return the network up to its logits as it is trained, sharing the weights."""
    if not remat:
        return take_part(network, LOGITS)
    bodies = {id(body): _list_cuts(body) for body in find_bodies(network)}

    def pass_on(layer: Any, *given: Any, **options: Any) -> Any:
        cuts = bodies.get(id(layer), [])
        if not cuts:
            return layer(*given, **options)
        ends = [*cuts[1:], layer.outputs if len(layer.outputs) > 1 else layer.output]
        found = given[0]
        if cuts[0] is not layer.inputs[0]:
            found = keras.Model(layer.inputs, cuts[0])(found)
        for start, end in zip(cuts, ends, strict=True):
            found = Rematerialized(keras.Model(start, end))(found)
        return found

    return keras.models.clone_model(
        take_part(network, LOGITS), clone_function=lambda layer: layer, call_function=pass_on
    )


def _list_cuts(body: keras.Model) -> list[Any]:
    """Return the tensors that blocks begin with, from the bottom up.

    A layer's own `input` may be that of another network which has the layer as well.
    """
    return [node.input_tensors[0] for node in list_nodes(body) if FIRST.match(node.operation.name)]

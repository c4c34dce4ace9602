"""How deep a weight lies: layers in groups, from the bottom of a network to its top.

`unfreeze` counts groups from the top, and layer-wise rates fall from each group to the one below.
Of a convolutional network every layer with a kernel begins a group, and the normalisations and
scales that follow belong to it; of a network of blocks, such as a vision transformer, each block
is one.
"""

from __future__ import annotations

import re
from typing import Any

from components.common.backend import keras

# Names of layers that belong together: what is before the blocks, a block, what is behind them.
TOGETHER = re.compile(r"^(embedding|blocks\.\d+|pool)\.")


def list_layers(network: keras.Model) -> list[Any]:
    """Return all layers from the bottom up, those of networks inside in their place."""
    found: list[Any] = []
    for layer in network.layers:
        found += list_layers(layer) if isinstance(layer, keras.Model) else _open(layer)
    return found


def _open(layer: Any) -> list[Any]:
    """Return a layer, or its blocks if it is one of KerasHub's that hold several."""
    inner = layer._layers
    kinds = [type(one) for one in inner if one._layers]
    return (
        list(inner) if len(kinds) > len(set(kinds)) and not layer._trainable_variables else [layer]
    )


def list_groups(*networks: keras.Model) -> list[list[Any]]:
    """Return the layers with weights, from the bottom up, in groups: see the head of this module.

    Args:
        networks: one, or its parts from the bottom up.
    """
    layers = [layer for network in networks for layer in list_layers(network) if layer.weights]
    groups: list[list[Any]] = []
    name: str | None = None  # of the group
    for layer in layers:
        found = TOGETHER.match(layer.name)
        begins = found[1] != name if found else _has_kernel(layer)
        if begins or not groups:
            groups.append([])
            name = found[1] if found else None
        groups[-1].append(layer)
    return groups


def _has_kernel(layer: Any) -> bool:
    """Whether a layer mixes channels or places, rather than to scale or shift them."""
    return any(len(weight.shape) > 1 for weight in layer.weights)

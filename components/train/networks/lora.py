"""Low-rank updates of dense kernels (LoRA, Hu et al. 2022): few numbers train, the kernels stay.

A kernel W of a block gets a product A·B of low rank beside it, B from 0, so that the network
answers as before until it is trained. When the network is saved, the product is added to W: nothing
of it is in the model file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from components.common.backend import keras
from components.common.errors import DarkroomError

# Kernels that mix nothing: learnt tokens and positions, scales of channels.
_APART = re.compile(r"token|position|\.ls\d")
_OUTER = "lora_kernel_a"  # the matrix that begins random
_INNER = "lora_kernel_b"


def check_lora(bodies: Iterable[keras.Model], rank: int) -> None:
    """Raise DarkroomError if low-rank updates are wanted and a network has no kernel for them."""
    if rank and not any(_list_dense(layer) for body in bodies for layer in body.layers):
        raise DarkroomError(
            f"train.finetune.lora_rank: {rank}: this network has no dense kernels; it is for "
            "vision transformers and their kin. Set it to 0, or choose another train.backbone"
        )


def attach_lora(layers: Iterable[Any], rank: int) -> None:
    """Let low-rank updates of the dense kernels in some layers train, and nothing else of them."""
    for layer in layers:
        dense = _list_dense(layer)
        for weight in layer.weights:
            weight.trainable = False
        for one in dense:
            one.enable_lora(rank)


def is_outer(path: str) -> bool:
    """Whether a weight is the random one of the two that make an update."""
    return path.endswith(_OUTER)


def read_merged(network: keras.Model) -> Iterator[np.ndarray]:
    """Yield a network's weights in their order, low-rank updates added to their kernels."""
    merged = {
        id(layer._kernel): layer.kernel
        for layer in network._flatten_layers()
        if getattr(layer, "lora_enabled", False)
    }
    for weight in network.weights:
        if not weight.path.endswith((_OUTER, _INNER)):
            yield np.asarray(keras.ops.convert_to_numpy(merged.get(id(weight), weight)))


def _list_dense(layer: Any) -> list[Any]:
    """Return a layer, or those inside it, whose kernels mix channels and can be updated."""
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    return [
        one
        for one in layer._flatten_layers()
        if isinstance(one, kinds) and len(one.kernel.shape) > 1 and not _APART.search(one.path)
    ]

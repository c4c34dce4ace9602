"""Blends of two states of a network's weights: WiSE-FT (Wortsman et al. 2022).

Between the probe and what fine-tuning made of it lie networks that keep what the pretrained one
knew and have learnt most of the new; which is best, validation says, at the price of a look.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from components.common.backend import keras
from components.train.finetuning.fitting import to_numpy
from components.train.networks.lora import is_outer

SHARES = (0.2, 0.4, 0.6, 0.8)  # of the fine-tuned weights
Weights = list[np.ndarray]  # of a network, in its order


def read_weights(network: keras.Model) -> Weights:
    """Return a copy of a network's weights."""
    return [to_numpy(weight) for weight in network.weights]


def write_weights(network: keras.Model, weights: Weights) -> None:
    """Put weights into a network."""
    for variable, value in zip(network.weights, weights, strict=True):
        variable.assign(value)


def blend(network: keras.Model, start: Weights, end: Weights, share: float) -> Weights:
    """Return weights of a network between two states: (1 - share) · start + share · end.

    Of a low-rank update only the matrix that begins at 0 is blended: the update is then the share.
    """
    return [
        other if is_outer(weight.path) else (one + share * (other - one)).astype(one.dtype)
        for weight, one, other in zip(network.weights, start, end, strict=True)
    ]


@contextmanager
def holding(network: keras.Model, weights: Weights) -> Iterator[None]:
    """Let a network have other weights while the body runs."""
    own = read_weights(network)
    write_weights(network, weights)
    try:
        yield
    finally:
        write_weights(network, own)

"""A network so tiny that it compiles in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components.train.networks.backbones import find_backbone
from components.train.networks.network import create_network, unfreeze
from tests.train.tiny_run import create_tiny, register_tiny


@pytest.fixture
def create() -> Callable[..., Any]:
    from components.common.backend import keras

    def make(unfrozen: int | str = "all", scratch: bool = False) -> Any:
        register_tiny()
        keras.utils.set_random_seed(0)
        body = create_tiny(False, None, (32, 32, 3))
        network = create_network(
            find_backbone("Tiny"), body, list("abcd"), size_px=32, dropout=0.0, scratch=scratch
        )
        unfreeze(network, unfrozen, scratch)
        return network

    return make

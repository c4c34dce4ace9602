"""Activations that are computed again: the same gradients; tests of folders train with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.train.finetuning.remat import Rematerialized, check_remat, create_trained
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import create_network, unfreeze
from tests.train.networks.tiny_vit import CLIP, DEPTH, DINOV2, SIGLIP, Kind, write_timm

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)


def compute_gradients(model: Any) -> dict[str, np.ndarray]:
    """Return the slope of some sum of the logits, by the path of each weight that trains."""
    import tensorflow as tf

    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(PIXELS, training=True) * [1.0, -2.0, 3.0, 0.5])
    slopes = tape.gradient(total, [variable.value for variable in variables])
    return {v.path: np.asarray(slope) for v, slope in zip(variables, slopes, strict=True)}


@pytest.mark.parametrize("unfrozen", ["all", 1])
@pytest.mark.parametrize("kind", [DINOV2, CLIP, SIGLIP], ids=lambda kind: kind.architecture)
def test_gradients_are_the_same(kind: Kind, unfrozen: int | str, tmp_path: Path) -> None:
    write_timm(tmp_path / "net", kind)
    backbone = find_backbone(str(tmp_path / "net"))
    body = create_body(backbone, "imagenet", 32)
    network = create_network(backbone, body, list("abcd"), size_px=32, dropout=0.0)
    unfreeze(network, unfrozen)
    check_remat(network, True)
    plain, again = (compute_gradients(create_trained(network, remat)) for remat in (False, True))
    assert set(plain) == set(again)
    assert max(np.abs(slope).max() for slope in plain.values()) > 0.1
    for path, slope in plain.items():
        np.testing.assert_allclose(again[path], slope, rtol=1e-3, atol=1e-4, err_msg=path)
    layers = create_trained(network, True).layers
    assert sum(isinstance(layer, Rematerialized) for layer in layers) == DEPTH


def test_a_network_without_blocks_is_refused(create: Any) -> None:
    check_remat(create(), False)
    with pytest.raises(DarkroomError, match=r"finetune\.remat: this network has no blocks"):
        check_remat(create(), True)

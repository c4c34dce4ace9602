"""The network as it is saved: in float32, with its calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from components.common.artifacts.model import (
    LOGITS,
    Calibration,
    load_model,
    read_card,
    save_model,
    take_part,
)
from components.common.shards.examples import read_split
from components.train.networks.backbones import find_backbone
from components.train.networks.network import find_bodies, to_float32
from tests.tiny_model import make_card


def test_saved_network_is_float32_and_answers_the_same(create: Any, shards: Path) -> None:
    from components.common.backend import keras

    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = create()
        plain = to_float32(network, find_backbone("Tiny"), list("abcd"), Calibration(2.0))
        assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert {
        layer.dtype_policy.compute_dtype for body in find_bodies(plain) for layer in body.layers
    } == {"float32"}
    pixels = read_split(shards, "val").pixels
    short = network.predict(pixels, verbose=0).argmax(axis=1)
    assert (plain.predict(pixels, verbose=0).argmax(axis=1) == short).mean() > 0.9


def test_calibration_is_in_the_saved_network(create: Any, shards: Path, tmp_path: Path) -> None:
    network, pixels = create(), read_split(shards, "val").pixels
    logits = take_part(network, LOGITS).predict(pixels, verbose=0)
    made = Calibration(1.5, [0.5, 1.0, 2.0, 1.5], [0.3, -0.1, 0.0, 2.0])
    plain = to_float32(network, find_backbone("Tiny"), list("abcd"), made)
    card = make_card(tuple("abcd"))
    card = replace(card, temperature=1.5, scales=made.scales, offsets=made.offsets)
    save_model(tmp_path / "model.keras", plain, card)
    assert read_card(tmp_path / "model.keras").calibration == made
    expected = softmax(logits * np.array(made.scales) / 1.5 + np.array(made.offsets), axis=1)
    found = load_model(tmp_path / "model.keras").predict(pixels, verbose=0)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.abs(found - softmax(logits, axis=1)).max() > 0.1

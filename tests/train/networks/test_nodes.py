"""Multiply-adds and what is inside a layer, against formulas and the same layers laid open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.backend import keras
from components.train.finetuning.memory import estimate_need
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.nodes import count_macs
from components.train.networks.vit import Vit, count_mega_macs, create_vit
from components.train.spec import Finetune


class Block(keras.layers.Layer):  # type: ignore[misc]
    """Attention and two dense layers, as KerasHub makes its layers of others."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = keras.layers.LayerNormalization()
        self.attend = keras.layers.MultiHeadAttention(2, 8)
        self.widen = keras.layers.Dense(32, activation="gelu")
        self.narrow = keras.layers.Dense(16)

    def call(self, x: Any) -> Any:
        x = self.norm(x)
        return x + self.narrow(self.widen(self.attend(x, x)))


@pytest.mark.parametrize("side", [4, None])
def test_a_layer_made_of_others_counts_as_they_do(side: int | None) -> None:
    def create(block: Any) -> Any:
        pixels = keras.Input((side, side, 3))
        x = keras.layers.Conv2D(16, 1)(pixels)
        x = keras.layers.Reshape((16 if side else -1, 16))(x)
        return keras.Model(pixels, block(x))

    closed, opened = create(Block()), create(Block().call)
    dense, attention = 2 * 16 * 16 * 32, 2 * 16 * 16 * 16 + 4 * 16 * 16 * 16
    assert count_macs(closed, 4) == count_macs(opened, 4) == 16 * 3 * 16 + dense + attention
    if side:
        needs = [estimate_need(model, Finetune()) for model in (closed, opened)]
        assert needs[0] == needs[1]
        closed.layers[-1].trainable = False  # what is below it trains, so it keeps the same
        assert estimate_need(closed, Finetune()).image == needs[0].image
        closed.trainable = False
        assert estimate_need(closed, Finetune()).image == 0


@pytest.mark.parametrize("name", ["MobileNetV3Small", "Xception"])
def test_multiply_adds_are_those_of_the_catalogue(name: str) -> None:
    backbone = find_backbone(name)
    found = count_macs(create_body(backbone, "none", backbone.min_size_px), backbone.size_px)
    assert round(found / 1e6) == backbone.mega_macs


def test_multiply_adds_of_a_transformer_are_those_of_its_formula() -> None:
    vit = Vit(size_px=224, patch_px=16, width=192, depth=2, heads=3, hidden=768, layer_scale=True)
    found = count_macs(create_vit(vit, 224, "vit"), 224)
    assert found / 1e6 == pytest.approx(count_mega_macs(vit, 224), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["swin", "dinov3", "hgnetv2", "mobilenetv5", "efficientnet"])
def test_what_a_network_of_keras_hub_keeps_is_reckoned(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("keras_hub", reason="needs the extra `hub`")
    from benchmarks._networks_hub import SIZE_PX, write_presets
    from tests.train.finetuning.test_memory import count_by_graph

    write_presets(tmp_path, f"hub-{kind}")
    (folder,) = tmp_path.iterdir()
    backbone = find_backbone(str(folder))
    body = create_body(backbone, "none", SIZE_PX)
    assert backbone.mega_macs == round(count_macs(body, backbone.size_px) / 1e6)
    model = keras.Model(body.input, keras.layers.Dense(3)(body.output))
    assert 0.95 < estimate_need(model, Finetune()).image / count_by_graph(model) < 2
    assert np.isfinite(np.asarray(body(np.zeros((1, SIZE_PX, SIZE_PX, 3))))).all()

"""Folders whose files contradict each other or themselves: refused in a line, and before training.

Loaded in part, such a network would train as well, only worse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.train.networks.backbones import create_body, find_backbone
from components.train.probe.features import check_features
from tests.train.networks.tiny_vit import AUGREG, WIDTH, write_timm

Change = Callable[[dict[str, Any]], object]


def change_tensors(folder: Path, change: Change) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.update(pos_embed=zeros(1, 9, WIDTH)), "it has positions for 9 tokens"),
        (lambda t: t.pop("cls_token"), "16 patches of 8 px, with 0 tokens beside"),
        (lambda t: t.pop("blocks.1.attn.qkv.bias"), r"block 0 of 2 has attn\.qkv\.bias, block 1"),
        (lambda t: t.pop("blocks.0.norm1.weight"), r"block 1 of 2 has norm1\.weight, block 0"),
        (lambda t: t.update({"patch_embed.proj.weight": zeros(WIDTH, 48)}), "sizes of the tensors"),
        (lambda t: t.update({"blocks.0.mlp.fc1.weight": zeros(24)}), "sizes of the tensors"),
        (lambda t: t.update({"blocks.0.mlp.fc2.weight": zeros(16)}), "sizes of the tensors"),
        (lambda t: t.update(reg_token=zeros(WIDTH)), "sizes of the tensors"),
        (lambda t: t.update({"blocks.0.attn.qkv.weight": zeros(47, WIDTH)}), "not those of net"),
        (lambda t: t.update(cls_token=zeros(1, 1, 8)), "not those of net"),
        (
            lambda t: t.update({"norm.weight": np.ones(WIDTH, np.int8)}),
            r"norm\.weight holds numbers of the kind I8: quantised",
        ),
    ],
)
def test_tensors_that_are_none_of_such_a_network(
    change: Change, words: str, tmp_path: Path
) -> None:
    write_timm(tmp_path / "net", AUGREG)
    change_tensors(tmp_path / "net", change)
    with pytest.raises(DarkroomError, match=words):
        create_body(find_backbone(str(tmp_path / "net")), "imagenet", 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(architecture=["vit"]), "none that Darkroom reads"),
        (lambda c: c.update(pretrained_cfg=None), r"config\.json or the sizes"),
        (lambda c: c["pretrained_cfg"].update(input_size=[]), r"config\.json or the sizes"),
        (lambda c: c["pretrained_cfg"].update(input_size=[3, 64, 64]), "positions for 17 tokens"),
        (lambda c: c["pretrained_cfg"].update(mean="xyz"), "mean of the colours are three numbers"),
        (lambda c: c["pretrained_cfg"].update(mean=[0.5]), "mean of the colours are three numbers"),
        (lambda c: c["pretrained_cfg"].update(std=[0, 1, 1]), "std of the colours are above 0"),
        (lambda c: c["model_args"].update(num_heads=0), "0 attention heads do not share out"),
        (lambda c: c["model_args"].update(num_heads=5), "5 attention heads do not share out"),
        (lambda c: c["model_args"].update(num_heads="4"), r"config\.json or the sizes"),
        (lambda c: c.update(model_args=[1]), r"config\.json or the sizes"),
    ],
)
def test_a_config_that_is_none_of_such_a_network(
    change: Change, words: str, tmp_path: Path
) -> None:
    write_timm(tmp_path / "net", AUGREG)
    file = tmp_path / "net/config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    with pytest.raises(DarkroomError, match=words):
        find_backbone(str(tmp_path / "net"))


def test_blocks_that_are_said_and_not_there(tmp_path: Path) -> None:
    from tests.train.networks.test_checkpoints import write_siglip

    write_siglip(tmp_path / "net")
    file = tmp_path / "net/config.json"
    config = json.loads(file.read_text())
    config["vision_config"]["num_hidden_layers"] = 12
    file.write_text(json.dumps(config))
    with pytest.raises(DarkroomError, match="2 of its 12 blocks are there"):
        find_backbone(str(tmp_path / "net"))
    config["vision_config"]["num_hidden_layers"] = 2
    file.write_text(json.dumps(config))
    (tmp_path / "net/preprocessor_config.json").write_text("{ cut")
    with pytest.raises(DarkroomError, match=r"preprocessor_config\.json: not readable"):
        find_backbone(str(tmp_path / "net"))


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_can_be_no_path(name: str) -> None:
    with pytest.raises(DarkroomError, match="no backbone"):
        find_backbone(name)


def test_features_that_are_no_numbers() -> None:
    features = np.ones((4, 3), np.float32)
    check_features(features)
    features[1, 2], features[3] = np.nan, np.inf
    with pytest.raises(DarkroomError, match=r"of 2 among 4 images .* train\.precision to float32"):
        check_features(features)

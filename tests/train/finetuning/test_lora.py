"""Low-rank updates: what trains, that it is of low rank, and that the saved network holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import Calibration
from components.common.errors import DarkroomError
from components.common.shards.examples import read_split
from components.train.finetuning.blend import blend, holding, read_weights
from components.train.finetuning.fitting import Finetuning, Progress
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.catalogue import CATALOGUE, Backbone
from components.train.networks.lora import check_lora
from components.train.networks.network import create_network, find_bodies, to_float32, unfreeze
from tests.train.finetuning.steps import make_material, make_recipe
from tests.train.networks.tiny_vit import DEPTH, DINOV2, HIDDEN, WIDTH, write_timm

RANK = 2


def make(folder: Path, unfrozen: int | str) -> tuple[Backbone, Any, int]:
    write_timm(folder / "net", DINOV2)
    backbone = find_backbone(str(folder / "net"))
    body = create_body(backbone, "imagenet", 32)
    network = create_network(backbone, body, list("abcd"), size_px=32, dropout=0.0)
    return backbone, network, unfreeze(network, unfrozen, lora_rank=RANK)


def read_kernels(network: Any) -> dict[str, np.ndarray]:
    return {
        weight.path: np.asarray(weight) for body in find_bodies(network) for weight in body.weights
    }


@pytest.mark.parametrize(
    ("unfrozen", "blocks"), [("all", DEPTH), pytest.param(1, 1, marks=pytest.mark.slow)]
)
def test_updates_of_low_rank_train_and_are_saved_in_the_kernels(
    shards: Path, tmp_path: Path, unfrozen: int | str, blocks: int
) -> None:
    backbone, network, trained = make(tmp_path, unfrozen)
    # rank · (in + out) of the four kernels of attention and the two that follow; the head is whole
    block = 4 * RANK * 2 * WIDTH + 2 * RANK * (WIDTH + HIDDEN)
    assert trained == blocks * block + (WIDTH + 1) * 4
    pixels = read_split(shards, "val").pixels[:8]
    before, answers = read_weights(network), np.asarray(network(pixels))
    plain = to_float32(network, backbone, list("abcd"), Calibration())
    assert np.asarray(plain(pixels)) == pytest.approx(answers, abs=1e-6)
    kernels = read_kernels(plain)

    material = make_material(shards, make_recipe(learning_rate=0.05, layer_decay=0.8))
    phase = Finetuning(network, material, Progress(1))
    phase.fit(range(6))
    trained_answers = np.asarray(network(pixels))
    assert np.abs(trained_answers - answers).max() > 0.05
    saved = to_float32(network, backbone, list("abcd"), Calibration())
    assert np.asarray(saved(pixels)) == pytest.approx(trained_answers, abs=1e-5)
    assert not any("lora" in weight.path for weight in saved.weights)
    moved = {path: kernel - kernels[path] for path, kernel in read_kernels(saved).items()}
    ranks = {path: np.linalg.matrix_rank(by, tol=1e-5) for path, by in moved.items() if by.any()}
    assert len(ranks) == blocks * 6
    assert set(ranks.values()) <= {1, RANK}

    with holding(network, blend(network, before, read_weights(network), 0.5)):
        half = read_kernels(to_float32(network, backbone, list("abcd"), Calibration()))
    for path, by in moved.items():
        assert half[path] - kernels[path] == pytest.approx(by / 2, abs=1e-5), path


def test_a_network_without_dense_kernels_is_refused() -> None:
    body = create_body(CATALOGUE["MobileNetV2"], "none", 32)
    check_lora([body], 0)
    with pytest.raises(DarkroomError, match=r"lora_rank: 4: this network has no dense kernels"):
        check_lora([body], 4)

"""Networks from folders: digests, blocks, and those of KerasHub; tests/e2e walks with one."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import Calibration, load_model, save_model
from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.promote.serving.package import list_requirements
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.catalogue import CATALOGUE
from components.train.networks.groups import list_groups
from components.train.networks.network import create_network, find_bodies, to_float32, unfreeze
from components.train.networks.published.hub import list_presets
from components.train.networks.published.hub_names import RULES
from components.train.networks.published.nearest import NEAREST
from components.train.networks.weights.shelf import compute_digest
from tests.tiny_model import make_card
from tests.train.networks.tiny_hub import make_hub
from tests.train.networks.tiny_vit import DINOV2, write_timm


def test_other_weights_in_the_folder_are_another_run(tmp_path: Path) -> None:
    write_timm(tmp_path / "net", DINOV2)
    before = compute_digest(tmp_path / "net")
    (tmp_path / "net/README.md").write_text("is no weights")
    assert compute_digest(tmp_path / "net") == before
    write_timm(tmp_path / "other", DINOV2, norm=np.zeros(3, np.float32))
    assert compute_digest(tmp_path / "other") != before


@pytest.mark.parametrize(("count", "moving"), [(1, {"1"}), (2, {"0", "1"}), (9, {"0", "1", ""})])
def test_blocks_are_counted_from_the_top(count: int, moving: set[str], tmp_path: Path) -> None:
    write_timm(tmp_path / "net", DINOV2)
    backbone = find_backbone(str(tmp_path / "net"))
    body = create_body(backbone, "imagenet", 32)
    network = create_network(backbone, body, ["a", "b"], size_px=32, dropout=0.0)
    unfreeze(network, count)
    assert len(list_groups(*find_bodies(network))) == 3  # embedding and two blocks
    paths = [weight.path for body in find_bodies(network) for weight in body.trainable_weights]
    assert {path.split(".")[1] if "blocks" in path else "" for path in paths} == moving


@pytest.fixture(scope="module")
def hub() -> Any:
    return pytest.importorskip("keras_hub", reason="needs the extra `hub`")


def test_what_is_named_as_the_nearest_is_there(hub: Any) -> None:
    homes = {"catalogue": CATALOGUE, "KerasHub": hub.models.Backbone.presets}
    for _, said in NEAREST:
        home = homes.get(said.split()[-1])
        assert home is None or set(re.findall(r"\w+", said)) & set(home), said


def test_presets_to_fetch_are_listed(hub: Any, capsys: Any) -> None:
    run_room("train", ["--list-backbones", "--hub", "--family", "dinov2"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    names = [row[0] for row in rows if row and row[-1] == "fetch"]
    own = hub.models.DINOV2Backbone.presets
    assert names == sorted(own, key=lambda name: own[name]["metadata"]["params"])
    listed = {one.name: one for one in list_presets()}
    for kind in (*RULES, "SwinTransformer", "DINOV3", "HGNetV2", "MobileNetV5", "ResNet", "CLIP"):
        made = getattr(hub.models, f"{kind.removesuffix('Backbone')}Backbone", None)
        assert made is None or set(made.presets) <= set(listed), kind
    assert listed["vit_base_patch16_384_imagenet"].size_px == 384
    assert listed["dinov2_base"].size_px == 0
    assert not any("bert" in name for name in listed)


@pytest.mark.parametrize("kind", ["ViT", "DINOV2", "SigLIP"])
def test_transformers_of_keras_hub_become_plain_keras(hub: Any, kind: str, tmp_path: Path) -> None:
    made = make_hub(hub, kind, tmp_path / "net")
    backbone = find_backbone(str(tmp_path / "net"))
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    theirs = np.asarray(made({"images": images} if isinstance(made.input, dict) else images))
    expected = theirs if theirs.ndim == 2 else theirs[:, 0]
    body = create_body(backbone, "imagenet", 32)
    assert np.asarray(body(images)) == pytest.approx(expected, abs=1e-4)
    assert backbone.needs == ()
    assert type(body).__module__.startswith("keras.")


@pytest.mark.slow
def test_what_stays_keras_hubs_says_what_it_needs(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_hub(hub, "Swin", tmp_path / "net")
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    backbone = find_backbone(str(tmp_path / "net"))
    body = create_body(backbone, "imagenet", 32)
    assert np.asarray(body(images)).reshape(2, -1, 16) == pytest.approx(
        np.asarray(made(images)), abs=1e-4
    )
    assert len(list_groups(body)) == 5  # patches, three blocks, what joins the stages
    network = create_network(backbone, body, list("abcd"), size_px=32, dropout=0.0)
    pixels = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    expected = np.asarray(network(pixels))
    versions = {name: version(name) for name in backbone.needs}
    card = replace(make_card(tuple("abcd")), versions=versions)
    assert f"keras-hub=={hub.__version__}" in list_requirements(card)
    model = tmp_path / "model.keras"
    save_model(model, to_float32(network, backbone, list("abcd"), Calibration()), card)
    assert np.asarray(load_model(model)(pixels)) == pytest.approx(expected, abs=1e-6)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DarkroomError, match=rf"pip install keras-hub=={hub.__version__}"):
        load_model(model)
    with pytest.raises(DarkroomError, match=r"pip install 'keras-hub>=0\.32"):
        find_backbone(str(tmp_path / "net"))

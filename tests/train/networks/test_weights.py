"""Networks are fetched into folders once, listed with their digests, and verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.weights import fetch, start
from components.train.networks.weights.shelf import compute_digest
from components.train.networks.weights.start import settle_start
from components.train.spec import Params
from tests.tiny_model import make_card
from tests.train.networks.tiny_vit import AUGREG, DINOV2, write_timm

ROOT = Path(__file__).parents[3]


def ask(*words: str) -> None:
    run_room("train", words)


def refuse(capsys: Any, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        ask(*words)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_a_folder_comes_onto_the_shelf_without_what_could_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_timm(tmp_path / "there/dino", DINOV2)
    for name in ("pytorch_model.bin", "modeling.py", "README.md"):
        (tmp_path / "there/dino" / name).write_text("---\nlicense: cc0-1.0\n---\nimport os")
    monkeypatch.chdir(tmp_path)
    ask("weights", "fetch", "there/dino")
    told = capsys.readouterr().out
    shelf = tmp_path / "data/weights"
    files = {"config.json", "model.safetensors", "weights.json"}
    assert {file.name for file in (shelf / "dino").iterdir()} - {".darkroom"} == files
    assert "dvc exp run -S train.backbone=data/weights/dino" in told
    assert find_backbone("data/weights/dino").size_px == 32

    ask("weights", "list")
    (row,) = capsys.readouterr().out.splitlines()
    assert compute_digest(shelf / "dino")[:12] in row
    assert "there/dino  cc0-1.0" in row
    ask("weights", "verify")
    assert capsys.readouterr().out == "data/weights/dino: as it was fetched, 2 files\n"

    ask("--list-backbones", "--family", "DINO")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:] if row and row[0].startswith("data")] == [
        "data/weights/dino"
    ]
    ask("--list-backbones", "--max-gmacs", "0.3", "--family", "mobile")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    names = [row[0] for row in rows[1:4]]
    assert names == ["MobileNetV3Small", "MobileNetV2", "MobileNetV3Large"]
    record = shelf / "dino/weights.json"  # of an earlier Darkroom, which could not count them
    known = record.read_text()
    record.write_text(json.dumps(json.loads(known) | {"mega_macs": None}))
    ask("--list-backbones", "--max-gmacs", "0.3", "--family", "dino")
    assert "none: let the filters through more" in capsys.readouterr().out
    record.write_text(known)
    ask("--list-backbones", "--licence", "CC0")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:3] if row] == ["data/weights/dino"]
    ask("--list-backbones", "--licence", "CC-BY")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:4] if row] == ["VGG16", "VGG19"]

    file = shelf / "dino/model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\1")
    (shelf / "dino/more.safetensors").write_bytes(b"")
    told = refuse(capsys, "weights", "verify", "dino")
    assert "model.safetensors is not what was fetched" in told
    assert "more.safetensors was not fetched" in told
    file.unlink()
    assert "model.safetensors is missing" in refuse(capsys, "weights", "verify")
    assert "no network cat; there: dino" in refuse(capsys, "weights", "verify", "cat")


def test_a_network_never_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_timm(tmp_path / "one/my net", DINOV2)
    write_timm(tmp_path / "two/my net", AUGREG)
    monkeypatch.chdir(tmp_path)
    ask("weights", "fetch", "one/my net")
    told = capsys.readouterr().out
    assert "dvc add 'data/weights/my net'" in told
    assert "dvc exp run -S 'train.backbone=data/weights/my net'" in told
    folder = tmp_path / "data/weights/my net"
    before = compute_digest(folder)
    told = refuse(capsys, "weights", "fetch", "two/my net")
    assert "data/weights/my net holds one/my net already; move it away" in told
    assert compute_digest(folder) == before
    # What is damaged comes again, as the message of verify says.
    (folder / "model.safetensors").write_bytes(b"half")
    assert "fetch again" in refuse(capsys, "weights", "verify")
    ask("weights", "fetch", "one/my net")
    assert compute_digest(folder) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--family", "zzz"], "the filters leave no network with a published accuracy"),
        # Of a family, as other tests leave a tiny network in the catalogue.
        (
            ["--memory-gb", "0.0001", "--family", "ResNet"],
            "none of them fits 1,000 photos, 5 min and 0.0001 GB",
        ),
    ],
)
def test_what_leaves_no_network_to_time_is_told(words: list[str], told: str, capsys: Any) -> None:
    assert told in refuse(capsys, "--list-backbones", "--minutes", "5", *words)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"model.safetensors": 5}},
        {"files": {"model.safetensors": {}}},
        {"files": []},
        {"mega_macs": "many"},
        {"parameters": None},
    ],
)
def test_a_damaged_record_is_told(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_timm(tmp_path / "net", DINOV2)
    monkeypatch.chdir(tmp_path)
    ask("weights", "fetch", "net")
    record = tmp_path / "data/weights/net/weights.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    for what in ("list", "verify"):
        told = refuse(capsys, "weights", what)
        assert "not a record of fetched weights" in told
        assert "remove data/weights/net and fetch it again" in told


def test_many_classes_that_came_since_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"class-{number:03d}" for number in range(300)]
    monkeypatch.setattr(start, "read_card", lambda _: make_card(("cat",)))
    (tmp_path / "model.keras").write_bytes(b"")
    said = start.describe_since(str(tmp_path / "model.keras"), names)
    assert "class-007 and 292 more; removed cat" in said
    assert "class-008" not in said


def test_what_cannot_be_fetched_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    write_timm(tmp_path / "net", DINOV2)
    (tmp_path / "net/config.json").write_text(json.dumps({"model_type": "convnextv2"}))
    assert "nearest that is there: ConvNeXt" in refuse(capsys, "weights", "fetch", "net")
    assert "are installed with" in refuse(capsys, "weights", "fetch", "EfficientNetLite0")
    assert "name a network" in refuse(capsys, "weights", "fetch")
    told = refuse(capsys, "weights", "fetch", "timm/vit_base_patch16_224")
    assert "of Hugging Face it is hf://timm/vit_base_patch16_224" in told
    for name in ("https://huggingface.co/timm/net", "hf:/timm/net"):
        assert "of Hugging Face it is hf://timm/net" in refuse(capsys, "weights", "fetch", name)
    assert not (tmp_path / "data").exists()
    ask("weights", "list")
    assert "nothing there" in capsys.readouterr().out


@pytest.mark.slow
def test_what_was_fetched_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_timm(tmp_path / "cache/3", DINOV2)
    monkeypatch.chdir(tmp_path)
    names = {"dinov2_tiny": "data/weights/dinov2_tiny", "hf://some/net": "data/weights/net"}
    for where in ("_ask_kaggle", "_ask_hugging_face"):  # their caches hold it
        monkeypatch.setattr(fetch, where, lambda name: tmp_path / "cache/3")
    for name, folder in names.items():
        with pytest.raises(
            DarkroomError, match=f"`python -m components.train weights fetch {name}"
        ):
            find_backbone(settle_start(Params(backbone=name)).backbone)
        ask("weights", "fetch", name)
        assert settle_start(Params(backbone=name)).backbone == folder
    assert settle_start(Params()) == Params()
    # Of the catalogue, where `imagenet` means the published weights, wherever they lie.
    body = create_body(find_backbone("MobileNetV2"), "none", 32)
    monkeypatch.setattr(fetch, "create_body", lambda *_, **__: body)
    ask("weights", "fetch", "MobileNetV2")
    file = "data/weights/MobileNetV2/MobileNetV2.weights.h5"
    assert settle_start(Params(backbone="MobileNetV2")).weights == file
    assert settle_start(Params(backbone="MobileNetV2", weights="none")).weights == "none"
    for mine, theirs in zip(
        create_body(find_backbone("MobileNetV2"), file, 32).weights, body.weights, strict=True
    ):
        assert np.array_equal(mine, theirs)
    capsys.readouterr()
    ask("weights", "list")
    assert "MobileNetV2  Apache-2.0" in capsys.readouterr().out


def test_hubs_that_do_not_answer_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("keras_hub", reason="needs the extra `hub`")
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):  # nothing listens there
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    for name in ("dinov2_small", "hf://timm/vit_tiny_patch16_224.augreg_in21k"):
        told = refuse(capsys, "weights", "fetch", name)
        assert told.startswith(f"error: weights fetch: {name}: ")
        assert "where there is no internet, give the folder" in told
        assert len(told.splitlines()) == 1
    told = refuse(capsys, "weights", "fetch", "dinov2_smal")
    assert (
        "neither the catalogue nor KerasHub has 'dinov2_smal'; did you mean `dinov2_small`" in told
    )

"""Settings and images that cannot be split are refused, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.common.artifacts.manifest import QUARANTINED
from components.common.cli import read_room_params
from components.common.errors import DarkroomError
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params

ROOT = Path(__file__).parents[2]
PARAMS = Params(size_px=64, shard_mb=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('background: "#ffffff"', "background: white", "background must be a colour #rrggbb"),
        ("val_fraction: 0.15", "val_fraction: 0.6", "val_fraction must be 0.01 to 0.5; got 0.6"),
        ("size_px: auto", "size_px: 8", "size_px must be 32 to 1024, or 'auto'; got 8"),
        ("leakage: warn", "leakage: drop", "leakage must be 'warn', 'exclude' or 'fail'; got"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new))
    with pytest.raises(DarkroomError, match=message):
        read_room_params(tmp_path / "params.yaml", "preprocess")


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValueError, match=r"val_fraction \+ test_fraction is 0\.9 or less"):
        Params(val_fraction=0.5, test_fraction=0.5)


def test_manifest_without_usable_image_is_refused(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(5, 2)
    with pytest.raises(DarkroomError, match="no usable image in it"):
        run(Inputs(images, make_manifest(images, status=QUARANTINED)), outputs, PARAMS)


def test_more_images_than_memory_are_refused(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("components.preprocess.contents.IMAGE_BYTES", 2**50)
    images = make_digits(5, 2)
    with pytest.raises(DarkroomError, match=r"10 images take about .* GB of memory here"):
        run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    assert not outputs.splits.exists()


def test_class_without_training_images_is_refused(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(30, 2)
    given = ["test"] * 30 + [("train", "val", "test")[i % 3] for i in range(30)]
    with pytest.raises(
        DarkroomError, match="no image to train on of class digit-0; add images of it"
    ):
        run(Inputs(images, make_manifest(images, split=given)), outputs, PARAMS)


def test_too_few_images_for_a_split_are_refused(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(1, 2)
    with pytest.raises(
        DarkroomError, match=r"no image falls into (train|val|test): 2 images are too"
    ):
        run(Inputs(images, make_manifest(images)), outputs, PARAMS)


def test_why_a_split_is_empty_is_said(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(12, 2)
    one = make_manifest(images, group=["p1"] * 24)
    with pytest.raises(
        DarkroomError, match=r"24 images that form 1 group, which no split may part, are too few"
    ):
        run(Inputs(images, one), outputs, PARAMS)
    given = (["train"] * 8 + ["val"] * 2 + ["test"] * 2) * 2
    groups = [f"p{i}" for i in range(8)] + ["p8", "p9"] * 2
    leaking = make_manifest(images, split=given, group=groups * 2)
    with pytest.raises(
        DarkroomError, match=r"no image falls into val: its 4 images are left out, .*group p8 is in"
    ):
        run(Inputs(images, leaking), outputs, replace(PARAMS, leakage="exclude"))


def test_class_without_validation_images_is_named(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make_digits(30, 2)
    given = ["train"] * 20 + ["test"] * 10 + [("train", "val", "test")[i % 3] for i in range(30)]
    run(Inputs(images, make_manifest(images, split=given)), outputs, PARAMS)
    assert "warning: val holds no image of class digit-0" in capsys.readouterr().out

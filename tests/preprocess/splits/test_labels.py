"""The same file under two labels is in no split, or in one if it is wanted: never in two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from components.common.errors import DarkroomError
from components.common.settings.spec import Data
from components.preprocess.contents import draw_splits
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params


@pytest.mark.parametrize("given", [False, True])
def test_copies_under_two_labels_are_left_out_and_named(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: bool,
) -> None:
    images = make_digits(30, 2)
    shutil.copy(images / "digit-0" / "003.png", images / "digit-1" / "copy of 3.png")
    shutil.copy(images / "digit-0" / "004.png", images / "digit-0" / "copy of 4.png")  # one label
    columns = {"split": [("train", "val", "test")[i % 3] for i in range(62)]} if given else {}
    manifest = make_manifest(images, **columns)
    outputs = Outputs(tmp_path / "out" / "splits.parquet", tmp_path / "out" / "shards")
    run(Inputs(images, manifest), outputs, Params(size_px=32))
    splits = pd.read_parquet(outputs.splits).set_index("path")
    assert list(splits.index) == sorted(splits.index)
    out = splits[splits["why"].str.startswith("left out, the same file")]
    assert list(out.index) == ["digit-0/003.png", "digit-1/copy of 3.png"]
    assert out["split"].isna().all()
    assert out["group_id"].nunique() == 1
    assert out["why"].iloc[0] == (
        "left out, the same file as digit-1/copy of 3.png, which is labelled digit-1"
    )
    printed = capsys.readouterr().out
    assert "2 files left out, 1 picture under two labels: digit-0/003.png = digit-1/copy of" in (
        printed
    )
    assert "preprocess.two_labels to keep" in printed


@pytest.mark.parametrize("groups", [["", ""], ["a", "b"]])
@pytest.mark.parametrize("given", [["", ""], ["train", "test"], ["val", "train"], ["val", ""]])
def test_kept_copies_under_two_labels_are_never_in_two_splits(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    groups: list[str],
) -> None:
    images = make_digits(30, 2)
    shutil.copy(images / "digit-0" / "000.png", images / "digit-0" / "-0.png")
    shutil.copy(images / "digit-0" / "000.png", images / "digit-1" / "-1.png")
    table = pd.read_parquet(make_manifest(images))
    twins = table["path"].isin(["digit-0/-0.png", "digit-1/-1.png"])
    table.loc[twins, "split"] = given
    table.loc[twins, "group"] = groups
    splits = draw_splits(table, Params(two_labels="keep", data=Data()))
    same = splits[splits["sha256"] == table["sha256"][twins].iloc[0]]
    assert same["split"].nunique() == 1
    assert "kept under two labels: 1 picture, digit-0/-0.png = " in capsys.readouterr().out


def test_nothing_but_contradictions_is_refused(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path]
) -> None:
    images = make_digits(5, 2)
    for file in (images / "digit-0").iterdir():
        shutil.copy(file, images / "digit-1" / file.name)
    table = pd.read_parquet(make_manifest(images))
    with pytest.raises(DarkroomError, match="every image has the bytes of another one"):
        draw_splits(table, Params())

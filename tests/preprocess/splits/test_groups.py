"""A group is in one split, or a person is told by name and number that it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params
from tests.preprocess.splits.test_splits import consistent, images, near, row, split, table


def patients(splits: list[str], name: str = "p1") -> list[dict[str, object]]:
    """Photos of one patient whose splits are given, or not."""
    start = 1000 * int(name[1:])
    return [
        row(start + i, path=f"{name}-{i}", group=name, split=split)
        for i, split in enumerate(splits)
    ]


OTHERS = [row(i, path=f"{name}-{i}", split=name) for i, name in enumerate(("train", "val", "test"))]


def test_groups_across_given_splits_are_kept_and_told_by_default() -> None:
    found = split(OTHERS + patients(["train", "train", "test"]))
    assert list(found["split"][["p1-0", "p1-1", "p1-2"]]) == ["train", "train", "test"]
    assert found.loc["p1-0", "why"] == "given; its group p1 is in test (p1-2)"
    assert found.loc["p1-2", "why"] == "given"


def test_groups_across_given_splits_are_taken_out_of_train_and_val_never_out_of_test() -> None:
    rows = OTHERS + patients(["train", "val", "test"]) + patients(["train", "val"], "p2")
    found = split(rows, leakage="exclude")
    assert set(found.index[found["split"].isna()]) == {"p1-0", "p1-1", "p2-0"}
    assert found.loc["p1-0", "why"].startswith(
        "left out, its group p1 is in test (p1-2); by itself"
    )


def test_groups_across_given_splits_can_fail() -> None:
    rows = OTHERS + patients(["train", "val"]) + patients(["train", "test"], "p2")
    with pytest.raises(
        DarkroomError, match=r"2 groups lie in more than one given split, first p1 \(p1-0, p1-1\)"
    ):
        split(rows, leakage="fail")


@pytest.mark.parametrize("leakage", ["warn", "exclude", "fail"])
def test_what_is_free_yields_to_the_given_split_of_its_group(leakage: str) -> None:
    rows = OTHERS.copy()
    for i in range(40):
        rows += patients(["test", "", "", ""], f"p{i + 1}")
    found = split(rows, leakage=leakage)
    group = table(rows).set_index("path")["group"].loc[found.index]
    free = table(rows).set_index("path")["split"].loc[found.index] == ""
    used = found["split"].notna() & (group != "")
    assert set(found["split"][used]) == {"test"}
    out = found[free & ~used & (group != "")]
    assert 60 < len(out) < 110  # three quarters of 120 drew another split
    assert out["why"].str.match(r"left out, its group p\d+ is in test \(p\d+-0\); by itself").all()


@settings(max_examples=100, deadline=None)
@given(st.lists(images(), min_size=1, max_size=40).map(consistent), st.data())
def test_nothing_straddles_whatever_is_given(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    """Partly given splits, groups and near-duplicates, all at once, over two runs."""
    names = st.sampled_from(["train", "val", "test", "", "", ""])
    rows = [item | {"split": data.draw(names)} for item in rows]
    first = [item for item in rows if data.draw(st.booleans())]
    for name in ("train", "val", "test"):  # all are given, so that none is carved out of train
        rows.append(row(1000 + len(name), path=f"anchor-{name}", split=name))
    earlier = split(first, leakage="exclude").reset_index() if first else None
    found = split(rows, leakage="exclude", earlier=earlier)
    kept = [item for item in rows if not pd.isna(found.loc[item["path"], "split"])]
    for i, left in enumerate(kept):
        for right in kept[:i]:
            if near(left, right) or (left["group"] and left["group"] == right["group"]):
                assert found.loc[left["path"], "split"] == found.loc[right["path"], "split"]
    warned = split(rows, leakage="warn", earlier=earlier)
    told = table(rows).set_index("path")["split"].loc[warned.index]
    assert (warned["split"][told != ""] == told[told != ""]).all()
    for item in rows:  # what is free is in no other split than its like, given or not
        here = warned.loc[item["path"], "split"]
        if item["split"] or pd.isna(here):
            continue
        for other in rows:
            there = warned.loc[other["path"], "split"]
            same = item["group"] and item["group"] == other["group"]
            if not pd.isna(there) and (same or near(item, other)):
                assert here == there


def test_parted_groups_are_reported_with_names_and_counts(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images_ = make_digits(30, 2)
    outputs = Outputs(tmp_path / "out" / "splits.parquet", tmp_path / "out" / "shards")
    given_ = [("train", "val", "test")[i % 3] for i in range(60)]
    groups = ["Müller"] * 3 + ["p2"] * 2 + [""] * 55
    given_[4] = ""  # Müller is in all three; p2 in train, and one is free
    manifest = make_manifest(images_, split=given_, group=groups)
    run(Inputs(images_, manifest), outputs, Params(size_px=32))
    printed = capsys.readouterr().out
    assert "1 group lies in more than one given split: Müller (train 1, val 1, test 1);" in printed
    with pytest.raises(DarkroomError, match="1 group lies in more than one given split, first Mül"):
        run(Inputs(images_, manifest), outputs, Params(size_px=32, leakage="fail"))
    outputs.splits.unlink()
    run(Inputs(images_, manifest), outputs, Params(size_px=32, leakage="exclude"))
    assert "because the rest of their group is in another split: Müller (2)" in (
        capsys.readouterr().out
    )

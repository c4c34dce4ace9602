"""Small classes get their share, as few images as possible are put elsewhere, and all stay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.preprocess.contents import draw_splits
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params
from components.preprocess.splits.classes import fill_classes
from components.preprocess.splits.splits import assign_splits
from tests.preprocess.splits.test_splits import row, table

SHARES = {"val_fraction": 0.15, "test_fraction": 0.15}


def make_classes(sizes: list[int]) -> list[dict[str, object]]:
    return [
        row(100_000 * n + i, path=f"{n:04d}/{i}", label=f"class-{n:04d}")
        for n, size in enumerate(sizes)
        for i in range(size)
    ]


def fill(rows: list[dict[str, object]], earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    images = table(rows)

    def assign(earlier: pd.DataFrame | None) -> pd.DataFrame:
        return assign_splits(images, near_duplicate_bits=3, earlier=earlier, **SHARES)

    return fill_classes(assign(earlier), images, assign=assign, earlier=earlier, **SHARES)


def count(splits: pd.DataFrame) -> pd.DataFrame:
    counts = pd.crosstab(splits["label"], splits["split"])
    return counts.reindex(columns=["train", "val", "test"], fill_value=0)


@pytest.mark.parametrize("sizes", [[5, 5], [3, 3, 3], [6] * 1000, [2000, 5]])
def test_every_class_has_images_in_every_split(sizes: list[int]) -> None:
    rows = make_classes(sizes)
    found = fill(rows)
    assert (count(found).to_numpy() > 0).all()
    shares = found["split"].value_counts(normalize=True)
    assert shares["train"] >= 1 / 3
    # No image but those that were wanted is elsewhere than the plain draw has it.
    drawn = assign_splits(table(rows), near_duplicate_bits=3, **SHARES)
    moved = drawn["split"] != found["split"]
    assert moved.sum() <= (count(drawn) == 0).sum().sum()
    assert found["why"][moved].str.contains("; put here because class class-").all()
    assert (found["why"][~moved] == drawn["why"][~moved]).all()


def test_classes_of_one_or_two_are_trained_on() -> None:
    found = fill(make_classes([1] * 40 + [2] * 40))
    assert (count(found)["train"] > 0).all()


def test_classes_that_have_their_share_keep_the_plain_draw() -> None:
    """So nobody's images move when a version of Darkroom comes that fills small classes."""
    rows = make_classes([200] * 10)
    drawn = assign_splits(table(rows), near_duplicate_bits=3, **SHARES)
    pd.testing.assert_frame_equal(fill(rows), drawn)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_small_classes_are_filled_and_nothing_ever_moves(data: st.DataObject) -> None:
    """Over three generations of groups, near-duplicates and images of several classes."""
    rows = []
    for i in range(data.draw(st.integers(3, 40))):
        scene = data.draw(st.integers(0, 12))
        digest = hashlib.sha256(f"scene {scene}".encode()).hexdigest()[:16]
        rows.append(
            row(
                100 * data.draw(st.integers(0, 10**6)) + i,
                path=f"{i}.jpg",
                label=data.draw(st.sampled_from("abc")),
                phash=data.draw(st.sampled_from(["", digest])),
                group=data.draw(st.sampled_from(["", "", "", "x", "y"])),
            )
        )
    born = [data.draw(st.integers(0, 2)) for _ in rows]
    earlier = None
    for generation in range(3):
        present = [item for item, b in zip(rows, born, strict=True) if b <= generation]
        if not present:
            continue
        found = fill(present, earlier)
        assert (found.groupby("group_id")["split"].nunique() <= 1).all()
        groups = table(present).set_index("path")["group"].loc[found["path"]].to_numpy()
        named = found[groups != ""]
        assert (named.groupby(groups[groups != ""])["split"].nunique() <= 1).all()
        if earlier is None:
            used = found[found["split"].notna()]
            units = used.groupby("label")["group_id"].nunique()
            mixed = used.groupby("group_id")["label"].nunique().max() > 1
            if not mixed:  # who is of two classes cannot always serve both
                whole = count(found).loc[units.index[units >= 3]]
                assert (whole.to_numpy() > 0).all()
                assert (count(found)["train"] > 0).all()
        else:
            before = earlier.dropna(subset="split")  # who was left out may be taken in
            now = found.set_index("path")["split"].loc[before["path"]]
            assert now.tolist() == before["split"].tolist()
        earlier = found


def test_newcomers_fill_what_old_images_cannot() -> None:
    rows = make_classes([2] * 20)
    earlier = fill(rows)
    grown = fill(make_classes([12] * 20), earlier)
    before = earlier.set_index("path")["split"]
    assert (grown.set_index("path")["split"].loc[before.index] == before).all()
    assert (count(grown).to_numpy() > 0).all()


def test_given_splits_are_not_touched() -> None:
    rows = [item | {"split": "train"} for item in make_classes([5] * 10)]
    found = fill([*rows, row(9 * 10**6, path="x", label="x", split="test")])
    whole = count(found[found["label"] != "x"])
    assert (whole[["train", "val"]] > 0).all().all()  # val is carved out of train
    assert (whole["test"] == 0).all()  # test is given, without them


def test_a_handful_of_photos_goes_through(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make_digits(30, 2)
    later = sorted(images.rglob("*.png"))[5:30] + sorted(images.rglob("*.png"))[35:]
    pixels = {file: file.read_bytes() for file in later}
    for file in later:
        file.unlink()
    outputs = Outputs(tmp_path / "out" / "splits.parquet", tmp_path / "out" / "shards")
    manifest = make_manifest(images)
    run(Inputs(images, manifest), outputs, Params(size_px=32))
    first = pd.read_parquet(outputs.splits)
    assert (count(first).to_numpy() > 0).all()
    assert "of 2 small classes put where the draw had left their class without any" in (
        capsys.readouterr().out
    )
    for file, data in pixels.items():
        file.write_bytes(data)
    run(Inputs(images, make_manifest(images)), outputs, Params(size_px=32))
    second = pd.read_parquet(outputs.splits).set_index("path")["split"]
    assert second.loc[first["path"]].tolist() == first["split"].tolist()
    assert "since last time 0 of 10 images changed split" in capsys.readouterr().out


def test_far_shares_are_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the images are of one group: it falls as a whole."""
    rows = make_classes([100, 100])
    rows = [item | {"group": "big" if i % 2 else "", "status": "ok"} for i, item in enumerate(rows)]
    splits = draw_splits(table(rows), Params(val_fraction=0.4, test_fraction=0.4))
    shares = splits["split"].value_counts(normalize=True)
    printed = capsys.readouterr().out
    odd = [name for name in ("val", "test") if abs(shares[name] - 0.4) > 0.25]
    assert odd
    for name in odd:
        assert (
            f"warning: {name} holds {shares[name]:.1%} of the images, 40.0% were asked" in printed
        )
    assert "the largest has 100 images" in printed


def test_far_shares_of_a_split_that_is_not_given_are_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Test is given, and val comes out of train, of which more than half is one group."""
    far = 0
    for name in "abcd":
        rows = [
            item | {"group": name if i % 5 else "", "split": "train", "status": "ok"}
            for i, item in enumerate(make_classes([100, 100]))
        ]
        test = [
            item | row(9_000 + i, path=f"t/{i:03d}", label=item["label"], split="test")
            for i, item in enumerate(rows)
        ]
        splits = draw_splits(table([*rows, *test]), Params(val_fraction=0.4, test_fraction=0.05))
        printed = capsys.readouterr().out
        found = (splits["split"][:200] == "val").mean()
        words = f"warning: val holds {found:.1%} of the images that no other split is given, 40.0%"
        assert (words in printed) == (abs(found - 0.4) > 0.25)
        assert "warning: test holds" not in printed
        far += words in printed
    assert far


def test_shares_that_filled_classes_make_are_not_laid_to_groups(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [item | {"status": "ok"} for item in make_classes([3] * 300)]
    splits = draw_splits(table(rows), Params())
    printed = capsys.readouterr().out
    for name in ("val", "test"):
        filled = splits["why"].str.contains("; put here because") & (splits["split"] == name)
        assert f"{filled.sum():,} of them were put there, since their classes had none" in printed
    assert "the largest has" not in printed


def test_a_second_run_gives_the_same_reasons() -> None:
    images = table(make_classes([5, 5, 40]))
    first = draw_splits(images, Params())
    assert first["why"].str.contains("put here because").any()
    second = draw_splits(images, Params(), first)
    pd.testing.assert_frame_equal(second, first)
    pd.testing.assert_frame_equal(draw_splits(images, Params(), second), first)

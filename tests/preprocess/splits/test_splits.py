"""Splits never leak and never move: properties over any folder, checked by brute force."""

from __future__ import annotations

import hashlib
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from components.preprocess.splits.splits import assign_splits, compute_draws

BITS = 3
SCENES = [int(hashlib.sha256(f"scene {i}".encode()).hexdigest()[:16], 16) for i in range(6)]


def row(content: int, **known: object) -> dict[str, object]:
    """One row of a manifest; `content` stands for the bytes of its file."""
    default = {
        "path": f"cat/{content:06d}.jpg",
        "label": "cat",
        "split": "",
        "sha256": hashlib.sha256(str(content).encode()).hexdigest(),
        "bytes": 1000,
        "width_px": 100,
        "height_px": 100,
        "phash": "",
        "group": "",
    }
    return default | known


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(row(0)))


def split(rows: list[dict[str, object]], **known: object) -> pd.DataFrame:
    settings_ = {"val_fraction": 0.25, "test_fraction": 0.25, "near_duplicate_bits": BITS}
    return assign_splits(table(rows), **(settings_ | known)).set_index("path")


@st.composite
def images(draw: st.DrawFn) -> dict[str, object]:
    """A picture of one of few scenes: many are near-duplicates, chains and bridges."""
    flips = draw(
        st.lists(st.integers(0, 7), max_size=3)
    )  # few bits: chains of near-duplicates form
    scene = draw(st.sampled_from([*SCENES, None]))
    phash = "" if scene is None else f"{scene ^ sum(1 << bit for bit in set(flips)):016x}"
    content = draw(st.integers(0, 200))
    return row(
        content,
        # The same content may lie at several paths, but looks and measures the same.
        path=f"cat/{content}-{draw(st.integers(0, 2))}.jpg",
        phash="" if content % 5 == 0 else phash,
        width_px=draw(st.sampled_from([64, 100])),
        bytes=draw(st.integers(500, 510)),
        group=draw(st.sampled_from(["", "", "", "a", "b", "c"])),
    )


def consistent(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Make rows of one content agree in what follows from it; drop paths that come twice."""
    known: dict[object, dict[str, object]] = {}
    paths: dict[object, dict[str, object]] = {}
    for item in rows:
        first = known.setdefault(item["sha256"], item)
        same = {key: first[key] for key in ("phash", "width_px", "bytes")}
        paths.setdefault(item["path"], item | same)
    return list(paths.values())


folders = st.lists(images(), min_size=1, max_size=40).map(consistent)


def near(left: dict[str, object], right: dict[str, object]) -> bool:
    """Whether two images are near-duplicates, or the same bytes."""
    if left["sha256"] == right["sha256"]:
        return True
    if not left["phash"] or not right["phash"]:
        return False
    return (int(str(left["phash"]), 16) ^ int(str(right["phash"]), 16)).bit_count() <= BITS


def check_nothing_straddles(rows: list[dict[str, object]], found: pd.DataFrame) -> None:
    where = found["split"].dropna()
    kept = [item for item in rows if item["path"] in where.index]
    for left, right in combinations(kept, 2):
        if near(left, right) or (left["group"] and left["group"] == right["group"]):
            assert where[left["path"]] == where[right["path"]]
            assert found.loc[left["path"], "group_id"] == found.loc[right["path"], "group_id"]
    assert (found.groupby("group_id")["split"].nunique() <= 1).all()


@settings(max_examples=100, deadline=None)
@given(folders, st.data())
def test_adding_images_moves_none(everything: list[dict[str, object]], data: st.DataObject) -> None:
    """Any images may be added, near-duplicates of old ones and bridges between them included."""
    chosen = data.draw(st.sets(st.sampled_from(range(len(everything))), min_size=1))
    before = split([everything[i] for i in sorted(chosen)])
    after = split(everything)
    stays = before.join(after, rsuffix="_after").dropna(subset=["split", "split_after"])
    assert (stays["split"] == stays["split_after"]).all()


@settings(max_examples=100, deadline=None)
@given(folders, st.data())
def test_with_the_earlier_splits_nothing_changes_for_old_images(
    everything: list[dict[str, object]], data: st.DataObject
) -> None:
    """Over three generations: no old image is moved, left out or taken in; nothing straddles."""
    generations = [data.draw(st.integers(0, 2)) for _ in everything]
    earlier: pd.DataFrame | None = None
    for generation in range(3):
        rows = [
            item for item, born in zip(everything, generations, strict=True) if born <= generation
        ]
        if not rows:
            continue
        found = split(rows, earlier=earlier)
        if earlier is not None:
            assert found["split"].loc[earlier["path"]].tolist() == earlier["split"].tolist()
        check_nothing_straddles(rows, found)
        earlier = found.reset_index()


def test_a_newcomer_like_two_old_images_moves_neither() -> None:
    """One to the left of it in train, one to the right in val: it is the newcomer that yields."""
    train = row(11, group="c", phash="95085fa123c61f14")
    val = row(194, phash="95085fa123c61ff6")
    between = row(136, phash="95085fa123c61fb6", width_px=200)
    assert near(train, between)
    assert near(between, val)
    before = split([train, val])
    assert before["split"].tolist() == ["train", "val"]
    after = split([train, val, between], earlier=before.reset_index())
    assert after["split"].loc[before.index].tolist() == ["train", "val"]
    assert after["split"].isna().sum() == 1


@settings(max_examples=100, deadline=None)
@given(folders)
def test_near_duplicates_and_groups_never_straddle(rows: list[dict[str, object]]) -> None:
    check_nothing_straddles(rows, split(rows))


@settings(max_examples=100, deadline=None)
@given(folders)
def test_every_scene_keeps_an_image_and_every_loss_is_explained(
    rows: list[dict[str, object]],
) -> None:
    found = split(rows)
    out = found["split"].isna()
    assert (out == found["why"].str.startswith("left out, near-duplicate of ")).all()
    by_path = {item["path"]: item for item in rows}
    for path in found.index[out]:
        other = found.loc[path, "why"].split("near-duplicate of ")[1].split(" in ")[0]
        assert not pd.isna(found.loc[other, "split"])
        assert found.loc[other, "group_id"] == found.loc[path, "group_id"]
        # What is kept is at least as good as what is left out, where no group decides.
        assert by_path[other]["width_px"] >= by_path[path]["width_px"]


@settings(max_examples=100, deadline=None)
@given(folders, st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(rows: list[dict[str, object]], random: object) -> None:
    turned = list(rows)
    random.shuffle(turned)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(split(rows), split(turned))


@settings(max_examples=60, deadline=None)
@given(folders, st.data())
def test_given_splits_do_not_move_either(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    names = st.sampled_from(["train", "val", "test", ""])
    rows = [item | {"split": data.draw(names)} for item in rows]
    for name in ("train", "val", "test"):  # all are given before and after: see docs
        rows.append(row(1000 + len(name), path=f"anchor-{name}", split=name))
    chosen = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    for leakage in ("warn", "exclude"):
        after = split(rows, leakage=leakage)
        old = [item for i, item in enumerate(rows) if i in chosen or "anchor" in item["path"]]
        before = split(old, leakage=leakage)
        both = before.join(after, rsuffix="_after").dropna(subset=["split", "split_after"])
        assert (both["split"] == both["split_after"]).all()
        given_ = table(rows).set_index("path")["split"].loc[after.index]
        fixed = (given_ != "") & after["split"].notna()
        assert (after["split"][fixed] == given_[fixed]).all()
        assert after["split"][given_ == "test"].notna().all()
        if leakage == "exclude":
            kept = [item for item in rows if not pd.isna(after.loc[item["path"], "split"])]
            for left, right in combinations(kept, 2):
                if near(left, right):
                    assert after.loc[left["path"], "split"] == after.loc[right["path"], "split"]


def test_shares_are_those_asked_for_in_every_class() -> None:
    rows = [row(i, label=f"class-{i % 4}") for i in range(20_000)]
    found = split(rows, val_fraction=0.15, test_fraction=0.1)
    for _, of_class in found.groupby("label"):
        shares = of_class["split"].value_counts(normalize=True)
        # Five standard deviations of a share of 5,000 draws are 0.025.
        assert abs(shares["val"] - 0.15) < 0.025
        assert abs(shares["test"] - 0.10) < 0.025


def test_draws_are_uniform_and_known() -> None:
    draws = compute_draws(f"image {i}" for i in range(10_000))
    counts, _ = np.histogram(draws, 20, (0, 1))
    assert ((counts - 500) ** 2 / 500).sum() < 43.8  # chi-squared, 19 degrees, p = 0.001
    # Known from the definition: another value would mean that every image of every user moves.
    digest = hashlib.sha256(b"darkroom image 7").digest()
    assert draws[7] == int.from_bytes(digest[:8], "big") / 2**64


def test_more_validation_moves_no_test_image() -> None:
    rows = [row(i) for i in range(500)]
    little, much = (split(rows, val_fraction=share) for share in (0.1, 0.4))
    assert ((little["split"] == "test") == (much["split"] == "test")).all()
    assert (much["split"][little["split"] == "val"] == "val").all()


def test_best_copy_stays_and_the_reason_is_told() -> None:
    """Among 40 scenes with a small copy each, copies with another home are left out."""
    rows = []
    for scene in range(40):
        phash = hashlib.sha256(f"picture {scene}".encode()).hexdigest()[:16]
        rows.append(row(scene, path=f"{scene}-original", phash=phash, width_px=4000))
        rows.append(row(100 + scene, path=f"{scene}-copy", phash=phash, width_px=400))
    found = split(rows)
    originals, copies = (found[found.index.str.endswith(kind)] for kind in ("original", "copy"))
    assert originals["split"].notna().all()
    out = copies[copies["split"].isna()]
    assert 5 < len(out) < 40
    path, reason = out.index[0], out["why"].iloc[0]
    original = path.replace("copy", "original")
    assert reason.startswith(
        f"left out, near-duplicate of {original} in {found.loc[original, 'split']}; by itself "
    )


def test_a_series_stays_whole_with_its_group() -> None:
    rows = [
        row(100 * scene + i, phash=f"{SCENES[scene]:016x}", group=f"series {scene}")
        for scene in range(6)
        for i in range(10)
    ]
    found = split(rows)
    assert found["split"].notna().all()
    assert found["why"].iloc[0].startswith("hash of its group series 0 is 0.")


# --- given splits ------------------------------------------------------------------------------


def given_rows(names: tuple[str, ...], each: int = 100) -> list[dict[str, object]]:
    return [
        row(1000 * n + i, path=f"{name}/{i}", split=name)
        for n, name in enumerate(names)
        for i in range(each)
    ]


def test_given_splits_are_honoured() -> None:
    found = split(given_rows(("train", "val", "test")))
    assert (found["split"] == found.index.str.split("/").str[0]).all()
    assert (found["why"] == "given").all()


@pytest.mark.parametrize(
    ("names", "carved"),
    [(("train", "test"), {"val"}), (("train", "val"), {"test"}), (("train",), {"val", "test"})],
)
def test_missing_splits_are_carved_out_of_train(names: tuple[str, ...], carved: set[str]) -> None:
    found = split(given_rows(names, 400))
    given_ = pd.Series(found.index.str.split("/").str[0], found.index)
    moved = found[found["split"] != given_]
    assert (given_[moved.index] == "train").all()
    assert set(moved["split"]) == carved
    assert (
        moved["why"]
        .str.startswith("carved out of the given train: hash of its content is 0.")
        .all()
    )
    for name in carved:
        assert 60 < (moved["split"] == name).sum() < 140  # 100 expected of 400


LEAK = [
    row(1, path="train/leak", split="train", phash="00000000000000ff"),
    row(2, path="test/leak", split="test", phash="00000000000000fe"),
    row(3, path="val/leak", split="val", phash="00000000000000ff"),
]


def test_leakage_across_given_splits_is_kept_and_told() -> None:
    found = split(given_rows(("train", "val", "test")) + LEAK, leakage="warn")
    assert found["split"].notna().all()
    assert found.loc["train/leak", "why"] == "given; near-duplicate of test/leak in test"
    assert found.loc["val/leak", "why"] == "given; near-duplicate of test/leak in test"
    assert found.loc["test/leak", "why"] == "given"


def test_leakage_is_taken_out_of_train_and_val_never_out_of_test() -> None:
    found = split(given_rows(("train", "val", "test")) + LEAK, leakage="exclude")
    assert set(found.index[found["split"].isna()]) == {"train/leak", "val/leak"}
    assert found.loc["train/leak", "why"].startswith(
        "left out, near-duplicate of test/leak in test"
    )


def test_leakage_can_fail() -> None:
    with pytest.raises(
        DarkroomError, match="2 images nearly repeat an image of another given split"
    ):
        split(given_rows(("train", "val", "test")) + LEAK, leakage="fail")


@pytest.mark.parametrize("leakage", ["warn", "exclude"])
def test_what_is_drawn_yields_to_what_is_given(leakage: str) -> None:
    """An image without given split that nearly repeats given ones of two splits is in neither."""
    bridges = [row(50 + i, path=f"bridge/{i}", phash="00000000000000ff") for i in range(40)]
    rows = given_rows(("train", "val", "test")) + LEAK[:2] + bridges
    found = split(rows, leakage=leakage)
    drawn = found[found.index.str.startswith("bridge")]["split"]
    expected = {"test"} if leakage == "exclude" else set()
    assert set(drawn.dropna()) == expected


def test_unknown_given_split_is_refused() -> None:
    with pytest.raises(DarkroomError, match="split must be train, val, test or empty, got 'dev'"):
        split([row(1, split="dev")])

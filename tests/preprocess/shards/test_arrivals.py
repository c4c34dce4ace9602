"""Who comes later rewrites no shard of those that were there, but for one a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from components.common.images.pixels import ImageForm
from components.preprocess.contents import plan_splits
from components.preprocess.shards.arrivals import assign_batches
from components.preprocess.shards.plans import count_images

FORM = ImageForm(64, "stretch", "#ffffff")
HOLDS = count_images(FORM, 1)  # 79.7 images of 12,544 bytes


def table_of(names: Iterable[object], split: str = "train") -> pd.DataFrame:
    texts = [str(name) for name in names]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return pd.DataFrame({"path": texts, "sha256": digests, "label": "cat", "split": split})


def arrange(splits: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    return splits.assign(batch=assign_batches(splits, earlier, HOLDS))


def list_recipes(splits: pd.DataFrame) -> dict[str, int]:
    """Return what decides the bytes of each shard of train, and its images."""
    plans = plan_splits(splits, ["cat"], FORM, 1)
    return {plan.recipe: len(plan.rows) for plan in plans if plan.split == "train" and plan.rows}


def test_of_many_nights_each_rewrites_one_shard_at_most() -> None:
    now = arrange(table_of(range(1000)), None)
    assert not now["batch"].any()
    for night in range(30):
        before = now
        count = 1000 + 37 * (night + 1)
        now = arrange(table_of(range(count)).sample(frac=1, random_state=night), before)
        old, new = list_recipes(before), list_recipes(now)
        gone = [images for recipe, images in old.items() if recipe not in new]
        assert len(gone) <= 1
        assert sum(gone) < HOLDS
        written = sum(images for recipe, images in new.items() if recipe not in old)
        assert written == 37 + sum(gone)
        again = arrange(now, now)
        assert again.equals(now)  # the same images, asked once more
    images, shards = len(now), len(list_recipes(now))
    assert sum(list_recipes(now).values()) == images
    assert shards <= 2 * images / HOLDS + 1


def test_what_leaves_or_is_replaced_touches_the_shard_it_leaves() -> None:
    first = arrange(table_of(range(600)), None)
    second = arrange(table_of(range(700)), first)
    now = table_of([*range(5), *range(6, 9), "another picture", *range(10, 700)])
    now.loc[8, "path"] = "9"
    third = arrange(now, second)
    old, new = list_recipes(second), list_recipes(third)
    assert len(old) == 8 + 2
    assert len(set(old) - set(new)) <= 2 + 1  # of 5, of 9, and the last, which was not full
    assert (third["batch"].max(), third.loc[8, "batch"]) == (2, 2)


def test_a_renamed_file_and_one_of_another_class_stay_where_they_were() -> None:
    first = arrange(table_of(range(200)), None)
    second = arrange(table_of(range(300)), first)
    renamed = second.drop(columns="batch")
    renamed.loc[7, ["path", "label"]] = "another/name", "dog"
    assert (arrange(renamed, second)["batch"] == second["batch"]).all()
    # A copy beside it comes as others do.
    copy = pd.concat([renamed, second.loc[[3]].assign(path="copy")], ignore_index=True)
    assert arrange(copy, second)["batch"].tolist()[3::297] == [0, 2]


def test_an_image_that_goes_to_another_split_is_new_there() -> None:
    first = pd.concat([table_of(range(100)), table_of(range(100, 200), "test")], ignore_index=True)
    first = arrange(first, None)
    second = first.drop(columns="batch")
    second.loc[3, "split"] = "test"
    assert arrange(second, first)["batch"][3] == 1
    out = second.assign(split=second["split"].where(second.index != 3))
    assert arrange(out, first)["batch"][3] == 0  # in none


def test_a_layout_that_decayed_is_drawn_anew() -> None:
    now = arrange(table_of(range(80)), None)
    for night in range(1, 6):
        now = arrange(table_of(range(80 * (night + 1))), now)
    assert now["batch"].max() == 5
    few = arrange(table_of(range(0, 480, 8)), now)
    assert not few["batch"].any()
    assert len(list_recipes(few)) == 1


@pytest.mark.parametrize("column", [None, "x", float("nan"), -7, 2.0**70])
def test_splits_of_other_versions_and_hands_are_read(column: object) -> None:
    """A file of a version that knew no batches is batch 0: its shards stand."""
    plain = table_of(range(100))
    earlier = plain if column is None else plain.assign(batch=column)
    earlier = pd.concat([earlier, earlier[:3]])  # rows twice
    now = arrange(table_of(range(110)), earlier)
    assert now["batch"].tolist() == [0] * 100 + [1] * 10
    fresh = arrange(table_of(range(10)), table_of([]))
    assert not fresh["batch"].any()
    assert np.asarray(fresh["batch"]).dtype == np.int64

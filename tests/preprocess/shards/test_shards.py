"""Shards are pure functions of their rows, and change only where the images do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.images.pixels import ImageForm
from components.preprocess.shards.plans import plan_shards
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row
from components.preprocess.shards.shards import write_shard, write_shards

FORM = ImageForm(64, "stretch", "#ffffff")
RECORD_MB = (64 * 64 * 3 + 256) / 1e6


def rows_of(count: int) -> list[Row]:
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]
    return [Row(f"{i}.png", i % 3, digest) for i, digest in enumerate(digests)]


def tabulate(rows: list[Row]) -> pa.Table:
    kinds = {"path": pa.large_string(), "label": pa.int64(), "sha256": pa.large_string()}
    return pa.Table.from_pylist([asdict(row) for row in rows], pa.schema(kinds))


def rows_in(images: Path) -> list[Row]:
    files = sorted(images.rglob("*.png"))
    return [Row(file.relative_to(images).as_posix(), 0, compute_sha256(file)) for file in files]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 1), (1, 1), (79, 1), (80, 2), (159, 2), (160, 4), (800, 16)]
)
def test_shards_hold_every_row_once_and_are_small_enough(count: int, expected: int) -> None:
    plans = plan_shards("train", [tabulate(rows_of(count)[::-1])], FORM, shard_mb=1)
    held = [row for plan in plans for row in plan.rows]
    assert len(held) == count
    assert set(held) == set(rows_of(count))
    assert len(plans) == expected  # a power of two
    assert count * RECORD_MB / len(plans) <= 1
    assert [plan.file for plan in plans] == [
        f"train-{i:05d}-of-{len(plans):05d}.tfrecord" for i in range(len(plans))
    ]


def test_order_of_a_split_does_not_depend_on_the_size_of_shards() -> None:
    orders = [
        [
            row
            for plan in plan_shards("train", [tabulate(rows_of(900))], FORM, mb)
            for row in plan.rows
        ]
        for mb in (1, 2, 4096)
    ]
    assert orders[0] == orders[1] == orders[2]


def test_classes_are_mixed() -> None:
    labels = [row.label for row in plan_shards("train", [tabulate(rows_of(900))], FORM, 64)[0].rows]
    assert sum(left == right for left, right in pairwise(labels)) < 400  # 300 expected of 899


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 599))
def test_one_changed_image_changes_two_shards_at_most(changed: int) -> None:
    rows = rows_of(600)
    before = {plan.file: plan.recipe for plan in plan_shards("train", [tabulate(rows)], FORM, 1)}
    rows[changed] = Row(rows[changed].path, rows[changed].label, hashlib.sha256(b"new").hexdigest())
    after = {plan.file: plan.recipe for plan in plan_shards("train", [tabulate(rows)], FORM, 1)}
    assert len(before) == 8
    assert 1 <= sum(before[file] != after[file] for file in before) <= 2


def test_recipe_knows_all_that_decides_the_bytes() -> None:
    rows = rows_of(3)
    recipes = {
        compute_recipe(rows, FORM),
        compute_recipe(rows[:2], FORM),
        compute_recipe(rows[::-1], FORM),
        compute_recipe([Row("other.png", 0, rows[0].sha256), *rows[1:]], FORM),
        compute_recipe([Row(rows[0].path, 2, rows[0].sha256), *rows[1:]], FORM),
        compute_recipe(rows, ImageForm(96, "stretch", "#ffffff")),
        compute_recipe(rows, ImageForm(64, "crop", "#ffffff")),
        compute_recipe(rows, ImageForm(64, "stretch", "#000000")),
    }
    assert len(recipes) == 8


def test_one_shard_alone_is_the_same_as_all_in_parallel(
    make_digits: Callable[..., Path], tmp_path: Path
) -> None:
    """Kubeflow may make shard i anywhere."""
    images = make_digits(40, 3)
    plans = plan_shards("train", [tabulate(rows_in(images))], FORM, 1)
    assert len(plans) == 2
    (tmp_path / "all").mkdir()
    (tmp_path / "alone").mkdir()
    together = write_shards(plans, images, FORM, tmp_path / "all")
    for plan in plans:
        alone = write_shard(plan.rows, images, FORM, tmp_path / "alone" / plan.file)
        assert alone == together[plan.file]
        assert alone.recipe == plan.recipe
        assert alone.examples == len(plan.rows)
        assert alone.sha256 == compute_sha256(tmp_path / "all" / plan.file)
        assert alone.sha256 == compute_sha256(tmp_path / "alone" / plan.file)


@pytest.mark.parametrize("per_class", [4, 40])  # in this process, and in others
@pytest.mark.parametrize("damage", ["missing", "changed", "damaged", "a pipe"])
def test_images_that_validate_did_not_see_are_refused(
    make_digits: Callable[..., Path], tmp_path: Path, damage: str, per_class: int
) -> None:
    images = make_digits(per_class, 3)
    file = images / "digit-1" / "001.png"
    if damage == "damaged":
        file.write_bytes(file.read_bytes()[:80])
    rows = rows_in(images)
    if damage == "missing":
        file.unlink()
        message = (
            "listed in the manifest, but cannot be read .No such file or directory.; run validate"
        )
    elif damage == "a pipe":
        file.unlink()
        os.mkfifo(file)
        message = "a pipe, socket or device, not a file"
    elif damage == "changed":
        Image.new("L", (32, 32)).save(file)
        message = "changed since validate saw it; run validate again"
    else:
        message = "not a readable image .*; run validate again"
    (tmp_path / "out").mkdir()
    with pytest.raises(DarkroomError, match=rf"digit-1/001\.png: .*{message}"):
        write_shards(
            plan_shards("train", [tabulate(rows)], FORM, 1), images, FORM, tmp_path / "out"
        )

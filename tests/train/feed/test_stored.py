"""Pixels that stay in their shards: what TensorFlow reads, in any order; what is refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.common.artifacts.dataset import Dataset, read_dataset, write_dataset
from components.common.errors import DarkroomError
from components.common.shards import stored
from components.common.shards.examples import read_split
from components.common.shards.stored import open_split
from components.common.shards.tfscan import scan_shard
from components.train.feed import memory
from components.train.feed.batches import create_batches
from components.train.feed.memory import read_train_and_val
from components.train.feed.recipe import Recipe
from components.train.spec import Augment, Finetune
from tests.train.digit_shards import write_digits

COUNTS = {"train": (9, 8, 7), "val": (3, 3, 3), "test": (1, 1, 1)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("stored") / "shards"
    write_digits(found, COUNTS, files=3)
    return found


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "shards"))


@pytest.mark.parametrize("open_files", [256, 1])
def test_they_are_what_tensorflow_reads(
    folder: Path, open_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "OPEN_FILES", open_files)
    dataset, oracle = read_dataset(folder), read_split(folder, "train")
    found = open_split(folder, "train", dataset)
    assert (found.paths, found.sha256) == (oracle.paths, oracle.sha256)
    np.testing.assert_array_equal(found.labels, oracle.labels)
    assert found.pixels.shape == oracle.pixels.shape
    assert len(found.pixels) == 24
    random = np.random.default_rng(0)
    for rows in (slice(0, 24), slice(5, 8), random.integers(0, 24, 40), np.array([23]), []):
        index = np.array(rows, int) if isinstance(rows, list) else rows
        np.testing.assert_array_equal(found.pixels[index], oracle.pixels[index])


def test_their_order_does_not_depend_on_the_shards(copy: Path, tmp_path: Path) -> None:
    """What came later, in shards behind the others, would else train another model."""
    one, other = copy, tmp_path / "as one"
    write_digits(other, COUNTS, files=1)
    dataset = read_dataset(one)
    turned = dataset.splits["train"].shards[::-1]
    splits = dataset.splits | {"train": replace(dataset.splits["train"], shards=turned)}
    (one / "dataset.json").unlink()
    write_dataset(one, replace(dataset, splits=splits))
    left, right = read_split(one, "train"), read_split(other, "train")
    assert left.sha256 == right.sha256 == sorted(left.sha256)
    assert left.paths == right.paths
    np.testing.assert_array_equal(left.labels, right.labels)
    np.testing.assert_array_equal(left.pixels, right.pixels)
    np.testing.assert_array_equal(
        open_split(one, "train", read_dataset(one)).pixels[:], right.pixels
    )


def test_batches_are_the_same_to_the_bit(folder: Path) -> None:
    dataset = read_dataset(folder)
    recipe = Recipe(
        Finetune(batch_size=8), Augment(mixup=0.3, colour=0.2), flip=True, seed=3, classes=3
    )
    kinds = (read_split(folder, "train"), open_split(folder, "train", dataset))
    for one, other in zip(*(create_batches(kind, recipe, 2) for kind in kinds), strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_memory_decides_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = read_dataset(folder)
    needed = (24 + 9) * 32 * 32 * 3
    for free, kind, words in (
        (2 * needed, np.ndarray, "kept in memory"),
        (2 * needed - 1, stored.StoredPixels, "50% may be used: read from the shards"),
    ):
        monkeypatch.setattr(memory, "find_free_memory", lambda free=free: free)
        train, val = read_train_and_val(folder, dataset)
        assert isinstance(train.pixels, kind)
        assert isinstance(val.pixels, kind)
        assert words in capsys.readouterr().out


def first_shard(folder: Path) -> tuple[Path, Dataset]:
    dataset = read_dataset(folder)
    return folder / dataset.splits["train"].shards[0].file, dataset


def test_a_changed_pixel_is_found_when_it_is_read(copy: Path) -> None:
    file, dataset = first_shard(copy)
    found = open_split(copy, "train", dataset)
    place = next(scan_shard(file))
    with file.open("r+b") as stream:
        stream.seek(place.start + place.pixels[0] + 100)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    row = found.paths.index(place.path)
    found.pixels[np.delete(np.arange(24), row)]
    with pytest.raises(DarkroomError, match=r"train-00000.*wrong checksum.*run preprocess again"):
        found.pixels[row : row + 1]
    with pytest.raises(DarkroomError, match=r"a shard of train is damaged .*run preprocess again"):
        read_split(copy, "train")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda data: data[:-5], "damaged .it ends in the middle"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "damaged .a wrong checksum at byte 0"),
        (lambda data: data + data, "do not hold the 24 examples"),
        (lambda data: b"", "do not hold the 24 examples"),
        (lambda data: None, "shard is missing"),
    ],
    ids=["cut", "length", "twice", "empty", "missing"],
)
def test_shards_that_are_not_as_they_should_be(copy: Path, harm: object, words: str) -> None:
    file, dataset = first_shard(copy)
    left = harm(file.read_bytes())  # type: ignore[operator]
    file.unlink() if left is None else file.write_bytes(left)
    with pytest.raises(DarkroomError, match=words):
        open_split(copy, "train", dataset)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train": (5, 5), "val": (0, 0)}, "split val has images of 0 classes, of 1 or more"),
        ({"train": (5, 0), "val": (1, 1)}, "split train has images of 1 classes, of 2 or more"),
    ],
)
def test_shards_that_nothing_can_be_learnt_from(
    counts: dict[str, tuple[int, ...]], words: str, tmp_path: Path
) -> None:
    dataset = write_digits(tmp_path / "shards", counts)
    with pytest.raises(DarkroomError, match=words):
        read_train_and_val(tmp_path / "shards", dataset)

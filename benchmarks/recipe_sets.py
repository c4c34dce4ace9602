"""Sets of images to try a recipe on, drawn from digits and archives: for benchmarks/recipe.py."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from components.common.artifacts.dataset import (
    Dataset,
    Shard,
    Split,
    compute_split_digest,
    write_dataset,
)
from components.common.files.writing import compute_sha256
from components.common.images.pixels import ImageForm, read_pixels
from components.common.shards.tfrecord import create_record
from components.preprocess.sizes import choose_size_px

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Picture:
    """An image file in memory."""

    path: str
    data: bytes
    label: str
    split: str = ""  # where it was given


@dataclass(frozen=True)
class Kind:
    """How a set is drawn."""

    source: str  # digits, clothing or signs
    train: int = 0  # images a class; 0: as given, or by the usual fractions
    val: int = 0
    test: int = 0  # in all; 0: all others
    classes: int = 0  # the first so many; 0: all
    size_px: int = 0  # side of the images; 0: as preprocess would choose


SETS = {
    "digits-few": Kind("digits", train=14, val=3, test=700),  # 5 steps a pass
    "digits-5": Kind("digits", train=5, val=2, test=700),
    "digits-easy": Kind("digits", train=60, val=30, test=200, classes=2),  # the probe has 99 %
    "digits": Kind("digits"),
    "signs-20": Kind("signs", train=20, val=20),
    "signs-5": Kind("signs", train=5, val=3, test=800),
    "signs": Kind("signs"),
    "clothing-few": Kind("clothing", train=14, val=3, test=400),
    "clothing": Kind("clothing"),
    # A fifth of the work: to compare settings with.
    "signs-20-small": Kind("signs", train=20, val=20, size_px=96),
    "clothing-few-small": Kind("clothing", train=14, val=3, test=400, size_px=96),
    "clothing-small": Kind("clothing", size_px=96),
}


def read_pictures(kind: Kind, archive: Path) -> tuple[list[Picture], list[str]]:
    """Return the images of a set's classes, and the names of these."""
    pictures = read_digits() if kind.source == "digits" else read_archive(archive)
    names = sorted({one.label for one in pictures})[: kind.classes or None]
    return [one for one in pictures if one.label in names], names


def write_shards(folder: Path, kind: Kind, archive: Path, seed: int) -> None:
    """Write the shards of a set, as preprocess would.

    Args:
        folder: is made.
        kind: of the set.
        archive: that its images come from; digits come from scikit-learn.
        seed: of the draw.
    """
    pictures, names = read_pictures(kind, archive)
    size_px = kind.size_px or choose_size(pictures)
    write_splits(folder, draw(pictures, kind, seed), names, size_px)


def write_splits(
    folder: Path, pictures: dict[str, list[Picture]], names: list[str], size_px: int
) -> None:
    """Write shards of splits that are settled.

    Args:
        folder: is made.
        pictures: of each split.
        names: of the classes.
        size_px: side of the images.
    """
    form = ImageForm(size_px, "crop", "#ffffff")
    folder.mkdir(parents=True)
    splits = {}
    for split, chosen in pictures.items():
        file = folder / f"{split}-00000-of-00001.tfrecord"
        about = [(hashlib.sha256(one.data).hexdigest(), one) for one in chosen]
        about.sort(key=lambda pair: pair[0])
        with file.open("wb") as stream:
            for digest, one in about:
                record = {
                    "pixels": read_pixels(one.data, form).tobytes(),
                    "label": names.index(one.label),
                    "path": one.path.encode(),
                    "sha256": digest.encode(),
                }
                stream.write(create_record(record))
        counts = {name: sum(one.label == name for one in chosen) for name in names}
        images = compute_split_digest((digest, one.label) for digest, one in about)
        shard = Shard(file.name, len(chosen), compute_sha256(file))
        splits[split] = Split(len(chosen), counts, images, [shard])
    write_dataset(folder, Dataset(names, form, splits, "m" * 64, "s" * 64, {}))


def write_folders(folder: Path, kind: Kind, archive: Path, seed: int) -> int:
    """Write the files of a set as train/, val/ and test/ with class folders inside.

    Args:
        folder: gets them.
        kind: of the set.
        archive: that its images come from; digits come from scikit-learn.
        seed: of the draw.

    Returns:
        The side in pixels at which preprocess would train on them.
    """
    pictures, _ = read_pictures(kind, archive)
    for split, chosen in draw(pictures, kind, seed).items():
        for one in chosen:
            file = folder / split / one.label / Path(one.path).name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(one.data)
    return kind.size_px or choose_size(pictures)


def choose_size(pictures: list[Picture]) -> int:
    """Return the side in pixels at which preprocess would train on them."""
    return choose_size_px([min(Image.open(io.BytesIO(one.data)).size) for one in pictures[:200]])


def draw(pictures: list[Picture], kind: Kind, seed: int) -> dict[str, list[Picture]]:
    """Return the images of each split: as given, or drawn."""
    if pictures[0].split and not kind.train:
        return {split: [one for one in pictures if one.split == split] for split in SPLITS}
    random = np.random.default_rng(seed)
    found: dict[str, list[Picture]] = {split: [] for split in SPLITS}
    for label in sorted({one.label for one in pictures}):
        own = [one for one in pictures if one.label == label]
        own = [own[row] for row in random.permutation(len(own))]
        train = kind.train or round(0.7 * len(own))
        val = kind.val or round(0.15 * len(own))
        for split, part in zip(
            SPLITS, (own[:train], own[train : train + val], own[train + val :]), strict=True
        ):
            found[split] += part
    if kind.test:
        rows = random.permutation(len(found["test"]))[: kind.test]
        found["test"] = [found["test"][row] for row in rows]
    return found


def read_digits() -> list[Picture]:
    """Return the digits of scikit-learn as PNG files."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = []
    for number, (grey, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        stream = io.BytesIO()
        Image.fromarray((grey * 255 / 16).round().astype(np.uint8)).save(stream, "PNG")
        pictures.append(Picture(f"{label}/{number:04d}.png", stream.getvalue(), str(label)))
    return pictures


def read_archive(archive: Path) -> list[Picture]:
    """Return the images of a tar archive of class folders, in folders of splits or not."""
    given = {"train": "train", "validation": "val", "val": "val", "test": "test"}
    pictures = []
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts
            file = tar.extractfile(member) if len(parts) > 2 else None
            if file is None:
                continue
            split = given.get(parts[-3], "")
            pictures.append(Picture(member.name, file.read(), parts[-2], split))
    return pictures

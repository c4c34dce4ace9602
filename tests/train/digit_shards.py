"""Digits in shards, as preprocess leaves them."""

from __future__ import annotations

import hashlib
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
from components.common.images.pixels import ImageForm
from components.common.shards.tfrecord import create_record
from tests.conftest import load_digits


def write_digits(
    folder: Path,
    counts: dict[str, tuple[int, ...]],
    size_px: int = 32,
    seed: int = 0,
    files: int = 1,
) -> Dataset:
    """Write shards of digits.

    Args:
        folder: is made.
        counts: split → images of class 0, 1, …; a split that is not named is empty. Of more than
            ten classes each holds some digits, whichever.
        size_px: side that the 8×8 digits are enlarged to.
        seed: which digits are taken.
        files: shards of each split.
    """
    pixels, labels = load_digits()
    random = np.random.default_rng(seed)
    classes = max(len(each) for each in counts.values())
    names = [f"digit-{label}" for label in range(classes)]
    if classes > 10:
        labels = np.arange(len(labels)) % classes
    rows = [list(random.permutation(np.flatnonzero(labels == label))) for label in range(classes)]
    folder.mkdir(parents=True)
    splits = {}
    for split in ("train", "val", "test"):
        per_class = counts.get(split, (0,) * classes)
        chosen = [(rows[c].pop(), c) for c, count in enumerate(per_class) for _ in range(count)]
        random.shuffle(chosen)
        records, about = [], []
        for row, label in chosen:
            image = Image.fromarray(pixels[row]).resize((size_px, size_px)).convert("RGB")
            digest = hashlib.sha256(str(row).encode()).hexdigest()
            about.append((digest, names[label]))
            features = {
                "pixels": image.tobytes(),
                "label": label,
                "path": f"{names[label]}/{row:04d}.png".encode(),
                "sha256": digest.encode(),
            }
            records.append(create_record(features))
        written = []
        for number in range(files):
            file = folder / f"{split}-{number:05d}-of-{files:05d}.tfrecord"
            held = records[number * len(records) // files : (number + 1) * len(records) // files]
            file.write_bytes(b"".join(held))
            written.append(Shard(file.name, len(held), compute_sha256(file)))
        images = dict(zip(names, per_class, strict=True))
        splits[split] = Split(len(records), images, compute_split_digest(about), written)
    form = ImageForm(size_px, "crop", "#ffffff")
    dataset = Dataset(names, form, splits, "m" * 64, "s" * 64, {"preprocess.size_px": size_px})
    write_dataset(folder, dataset)
    return dataset

"""Shards of digits, as preprocess writes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.dataset import (
    LABEL,
    PATH,
    PIXELS,
    SHA256,
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

SIZE_PX = 32


def write_digits(folder: Path, counts: dict[str, dict[int, int]]) -> Path:
    """Write shards of digits: split → label → how many."""
    pixels, labels = load_digits()
    folder.mkdir(parents=True)
    used = dict.fromkeys(range(10), 0)
    classes = sorted({label for split in counts.values() for label in split})
    splits = {}
    for name, wanted in counts.items():
        records, images = [], []
        for label, count in wanted.items():
            rows = np.flatnonzero(labels == label)[used[label] : used[label] + count]
            used[label] += count
            for row in rows:
                grey = np.array(Image.fromarray(pixels[row]).resize((SIZE_PX, SIZE_PX)))
                data = np.repeat(grey[..., None], 3, axis=2).tobytes()
                digest = hashlib.sha256(data).hexdigest()
                images.append((digest, str(label)))
                records.append(
                    create_record(
                        {
                            PIXELS: data,
                            LABEL: classes.index(label),
                            PATH: f"{label}/{row}.png".encode(),
                            SHA256: digest.encode(),
                        }
                    )
                )
        file = folder / f"{name}-00000-of-00001.tfrecord"
        file.write_bytes(b"".join(np.random.default_rng(0).permutation(np.array(records, object))))
        shard = Shard(file.name, len(records), compute_sha256(file))
        per_class = {str(label): wanted.get(label, 0) for label in classes}
        splits[name] = Split(len(records), per_class, compute_split_digest(images), [shard])
    form = ImageForm(SIZE_PX, "crop", "#ffffff")
    write_dataset(
        folder, Dataset([str(label) for label in classes], form, splits, "m" * 64, "s" * 64)
    )
    return folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return shards of four digits: 80 train, 24 val, 8 test."""
    each = {"train": 20, "val": 6, "test": 2}
    counts = {split: dict.fromkeys(range(4), count) for split, count in each.items()}
    return write_digits(tmp_path_factory.mktemp("data") / "shards", counts)

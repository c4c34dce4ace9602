"""A tiny archive of real digits, and the settings that run the pipeline on it in seconds."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import load_digits
from tests.docker.engine import find_image


class Stub:
    """An artifact as KFP's executor hands it to a task."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.name
        self.metadata: dict[str, object] = {}


CLASSES, PER_CLASS, SIZE_PX = 4, 25, 32


def write_archive(folder: Path) -> list[str]:
    """Write digits.tar, 100 digits of 4 classes; return the settings that bring them."""
    pixels, labels = load_digits()
    archive = folder / "digits.tar"
    for label in range(CLASSES):
        place = folder / "digits" / f"digit-{label}"
        place.mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(labels == label)[:PER_CLASS]):
            image = Image.fromarray(pixels[index])
            image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC).save(
                place / f"{number:03d}.png"
            )
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "digits", arcname="digits")
    return [
        f"ingest.source={archive}",
        f"ingest.sha256={hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "preprocess.size_px=64",
        "preprocess.shard_mb=1",
        "train.finetune.epochs=0",
        "evaluate.resamples=100",
    ]


@pytest.fixture(scope="session")
def project_image() -> str:
    """Return the project's image, built from this code; skip where no engine can build it."""
    return find_image()

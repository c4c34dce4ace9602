"""A tiny archive of real digits, and the settings that run the pipeline on it in seconds."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"


@pytest.fixture
def digits_archive(make_digits: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Return settings that bring 100 digits of 4 classes, and train a probe on them."""
    folder = make_digits(per_class=25, classes=4)
    archive = tmp_path / "digits.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, arcname="digits")
    return [
        f"ingest.source={archive}",
        f"ingest.sha256={hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "preprocess.size_px=64",
        "preprocess.shard_mb=1",
        "train.finetune.epochs=0",
        "evaluate.resamples=100",
    ]

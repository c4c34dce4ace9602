"""Photos in a store, in a DVC project, and a run that has listed them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.common.images.stores import transfer
from tests.pipelines.listing.run import LISTED, Run, upload
from tests.pipelines.test_fetch import call


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr("components.validate.partitions.LEAST", 20)
    monkeypatch.setattr("components.validate.partitions.GROUP", 16)


@pytest.fixture
def photos(make_digits: Callable[..., Path]) -> Path:
    """Return a folder as people have them: copies, contradictions, a damaged file, a table."""
    folder = make_digits(per_class=20, classes=3, size_px=96)
    first = sorted(folder.rglob("*.png"))
    Image.open(first[0]).resize((80, 80)).save(first[0].with_name("smaller.png"))
    shutil.copy(first[1], folder / "digit-2" / "of another class.png")
    first[2].write_bytes(first[2].read_bytes()[:200])
    (folder / "digit-1" / "größe.png").write_bytes(first[30].read_bytes())
    (folder / "digit-0" / "000.xml").write_text("<size/>")
    rows = [f"{file.relative_to(folder)},g{n % 7}" for n, file in enumerate(first)]
    (folder / "metadata.csv").write_text("\n".join(["path,group", *rows, "digit-0/gone.png,g1"]))
    return folder


@pytest.fixture
def project(photos: Path, tmp_path: Path) -> Path:
    """Return a DVC project that holds the photos, without its cache."""
    folder = tmp_path / "project"
    shutil.copytree(photos, folder / "data" / "images")
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "remote", "add", "-d", "-q", "store", str(tmp_path / "remote"))
    call(folder, "dvc", "add", "-q", "data/images")
    commit(folder, "photos")
    call(folder, "dvc", "push", "-q")
    shutil.rmtree(folder / ".dvc" / "cache")
    return folder


def commit(folder: Path, words: str) -> None:
    call(folder, "git", "add", "-A")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    call(folder, "git", *who, "commit", "-q", "-m", words)


@pytest.fixture
def listed(s3: Any, photos: Path, tmp_path: Path) -> Run:
    """Return a run that has its listing, and its images yet to read."""
    upload(s3, photos)
    run = Run(tmp_path / "run", LISTED)
    run.fetch(run.find())
    return run

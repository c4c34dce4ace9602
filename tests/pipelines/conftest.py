"""A tiny archive of real digits, and the settings that run the pipeline on it in seconds."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.cluster import watching
from tests.conftest import load_digits
from tests.docker.engine import find_image
from tests.pipelines.server import Kfp, create_server

PARAMS = Path(__file__).parents[2] / "params.yaml"
IMAGE = "registry.local/darkroom@sha256:" + "a" * 64


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


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kfp:
    """Return what a server of KFP holds; nothing of this machine's environment leads to another."""
    names = ("KFP_HOST", "KFP_TOKEN", "KUBERNETES_SERVICE_HOST", "KF_PIPELINES_SA_TOKEN_PATH")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.01)
    return Kfp()


@pytest.fixture
def host(kfp: Kfp) -> Iterator[str]:
    """Return the address of a running server of KFP."""
    server = create_server(kfp)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def call(host: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that calls the command line: exit code, what it printed, its errors."""

    def run(action: str, *words: str, image: str = IMAGE) -> tuple[int, str, str]:
        arguments = [action, "--params", str(PARAMS), "--host", host, *words]
        try:
            main([*arguments, "--set", f"kubeflow.image={image}"])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run

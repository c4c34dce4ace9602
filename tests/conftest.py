"""What tests share: tiny real images (scikit-learn's digits) and a real MLflow store."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that no process ends with it while the others idle."""
    long = ("docker", "slow", "e2e")
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in long))


@cache
def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (1797, 8, 8) uint8 and labels (1797,)."""
    from sklearn.datasets import load_digits as load

    digits = load()
    return (digits.images * 255 / 16).round().astype(np.uint8), digits.target


@pytest.fixture
def make_digits(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder of digits in class folders."""

    def make(
        per_class: int = 12, classes: int = 3, size_px: int = 32, folder: str = "digits"
    ) -> Path:
        pixels, labels = load_digits()
        root = tmp_path / folder
        for label in range(classes):
            place = root / f"digit-{label}"
            place.mkdir(parents=True)
            for number, index in enumerate(np.flatnonzero(labels == label)[:per_class]):
                image = Image.fromarray(pixels[index]).resize((size_px, size_px), Image.NEAREST)
                image.save(place / f"{number:03d}.png")
        return root

    return make


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this run of the tests, the same for all of its processes."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def mlflow_database(shared_folder: Path) -> Path:
    """Return a new MLflow database, to be copied: its migrations take ten seconds."""
    from components.common.tracking.server import import_mlflow

    file = shared_folder / "mlflow" / "mlflow.db"
    with FileLock(shared_folder / "mlflow.lock"):
        if not file.parent.exists():
            file.parent.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(file.parent)
                patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
                import_mlflow()
    return file


@pytest.fixture
def mlflow_store(
    mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Set MLflow on an empty store of this test; its folder is the present one."""
    import mlflow

    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    yield tmp_path
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a client of an S3-style server on this machine, with an empty bucket `photos`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    # All of moto's servers in a process hold the same buckets.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"", timeout=30).close()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    yield client
    server.stop()

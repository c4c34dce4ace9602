"""Two real processes that train as two machines do, and one with two devices: JAX, loopback."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 500  # two processes that wait for each other for good must not hold up the tests
SETTINGS = {
    "finetune": {"epochs": 2, "batch_size": 8, "ema_momentum": 0.9, "learning_rate": 0.003},
    "augment": {"flip": "always", "mixup": 0.2},
}


def start(shards: Path, folder: Path, database: Path, **env: str) -> subprocess.Popen[str]:
    """Start the room in a process; `env` says which machine it is."""
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    own |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    given = json.dumps(
        {"shards": str(shards), "out": str(folder), "save": str(folder / "weights.npz"), **SETTINGS}
    )
    command = [sys.executable, str(ROOT / "tests/train/tiny_run.py"), given]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | own | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes and return what they said; none is left running."""
    told = []
    try:
        for process in processes:
            told.append(process.communicate(timeout=SECONDS)[0])
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n\n".join(told)
    return told


def read_history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_two_machines_end_as_one(shards: Path, tmp_path: Path, mlflow_database: Path) -> None:
    address = f"127.0.0.1:{find_port()}"
    common = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    folders = [tmp_path / "first", tmp_path / "second"]
    pair = [
        start(shards, folder, mlflow_database, JAX_PROCESS_ID=str(number), **common)
        for number, folder in enumerate(folders)
    ]
    alone, gpus = tmp_path / "alone", tmp_path / "gpus"
    # A CPU that stands for two GPUs of one machine.
    doubled = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    others = [
        start(shards, alone, mlflow_database),
        start(shards, gpus, mlflow_database, **doubled),
    ]
    finish([*pair, *others])

    first, second, one, two = (np.load(f / "weights.npz") for f in [*folders, alone, gpus])
    assert len(one.files) > 6
    for name in one.files:
        np.testing.assert_array_equal(first[name], second[name], name)
        for other in (first, two):
            np.testing.assert_allclose(other[name], one[name], rtol=1e-3, atol=1e-5, err_msg=name)

    # The first alone writes what the room writes.
    assert (folders[0] / "model.keras").exists()
    assert not (folders[1] / "model.keras").exists()
    assert not (folders[0] / "model.checkpoint").exists()
    rows, oracle = read_history(folders[0]), read_history(alone)
    assert [row["phase"] for row in rows] == ["probe", "fine-tune", "fine-tune"]
    for row, other in zip(rows, oracle, strict=True):
        for name in ("train_loss", "val_loss", "val_accuracy", "train_accuracy"):
            assert float(row[name]) == pytest.approx(float(other[name]), abs=1e-4), name

"""A run that is killed, at any moment of either phase, ends as one that was left alone."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.train.finetuning.saving import Saving
from components.train.runtime.checkpoint import Checkpoint

ROOT = Path(__file__).parents[2]
SETTINGS = {
    # So many that a signal finds it at work on any machine.
    "finetune": {"epochs": 24, "batch_size": 8, "ema_momentum": 0.9},
    "augment": {"flip": "always", "mixup": 0.2},
}


def start(shards: Path, folder: Path, database: Path, **more: bool) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    if not (folder / "mlflow.db").exists():
        shutil.copy(database, folder / "mlflow.db")
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    given = json.dumps({"shards": str(shards), "out": str(folder), **SETTINGS, **more})
    command = [sys.executable, str(ROOT / "tests/train/tiny_run.py"), given]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)


def read_rows(folder: Path) -> list[dict[str, str]]:
    timed = ("seconds", "images_per_second")
    with (folder / "history.csv").open() as stream:
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(stream)]


def read_status(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "mlflow.db") as store:
        return [status for (status,) in store.execute("select status from runs")]


def wait_for(process: subprocess.Popen[str], part: Path, seconds: float = 120) -> None:
    """Wait until a part of the checkpoint is written, or the process ends."""
    end = time.monotonic() + seconds
    while not part.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_in_both_phases_ends_as_if_left_alone(
    shards: Path, tmp_path: Path, mlflow_database: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(shards, whole, mlflow_database).wait() == 0
    chance = random.Random(os.urandom(8))
    seen = []
    for part, number in (("features-train-00000", signal.SIGKILL), ("finetune", signal.SIGTERM)):
        # Images that do not fit into memory are read from their shards, in the same order.
        process = start(shards, killed, mlflow_database, little_memory=True)
        wait_for(process, killed / "model.checkpoint" / f"{part}.npz")
        delay = chance.uniform(0, 0.3)
        time.sleep(delay)
        process.send_signal(number)
        process.wait()
        seen.append((part, round(delay, 3), process.returncode))
    assert read_status(killed) == ["KILLED"], seen  # SIGTERM leaves time to say so
    process = start(shards, killed, mlflow_database, little_memory=True)
    told, _ = process.communicate()
    assert "read from the shards" in told
    assert process.returncode == 0, seen
    codes = [-signal.SIGKILL, 128 + signal.SIGTERM]
    assert [code for _, _, code in seen] == codes, seen
    assert read_status(killed) == ["FINISHED"]  # all three went on in one run
    with sqlite3.connect(killed / "mlflow.db") as store:
        steps = store.execute("select distinct step from metrics where key = 'val_loss'").fetchall()
    assert sorted(step for (step,) in steps) == list(range(25))
    assert read_rows(killed) == read_rows(whole), (seen, told)
    assert not (killed / "model.checkpoint").exists()

    from components.common.artifacts.model import load_model

    first, second = (load_model(folder / "model.keras").weights for folder in (whole, killed))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_slow_disk_is_written_to_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    class SlowDisk(Checkpoint):
        def save(self, part: str, meta: Any, arrays: Any) -> None:
            super().save(part, meta, arrays)
            clock[0] += 2

    saving = Saving(SlowDisk(tmp_path / "model.keras", {}))
    assert saving.is_due()
    saving.save({}, {})
    for wait, due in ((0, False), (49, False), (1, True)):  # 25 times the two seconds
        clock[0] += wait
        assert saving.is_due() == due


def test_checkpoint_of_other_settings_is_removed(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    Checkpoint(model, {"rate": 1}).save("part", {"step": 3}, {"a": np.arange(3)})
    meta, arrays = Checkpoint(model, {"rate": 1}).load("part") or ({}, {})
    assert meta == {"step": 3}
    assert arrays["a"].tolist() == [0, 1, 2]
    assert Checkpoint(model, {"rate": 2}).load("part") is None
    # The runs of those that were killed are kept, for MLflow is to be told that they ended.
    for rate, left in ((2, []), (3, ["run 2"]), (4, ["run 2", "run 3"]), (4, ["run 2", "run 3"])):
        checkpoint = Checkpoint(model, {"rate": rate})
        assert checkpoint.abandoned == left
        checkpoint.keep_run(f"run {rate}")


@pytest.mark.parametrize("content", [b"", b"half a zip", b"PK\x03\x04 cut"])
def test_damaged_checkpoint_counts_as_none(tmp_path: Path, content: bytes) -> None:
    checkpoint = Checkpoint(tmp_path / "model.keras", {})
    (checkpoint.folder / "part.npz").write_bytes(content)
    assert checkpoint.load("part") is None

"""MLflow's database is made once, whole or not at all, however many begin at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = (
    "from components.common.tracking.server import import_mlflow\n"
    "mlflow = import_mlflow()\n"
    "mlflow.end_run() if mlflow.start_run(experiment_id='0') else None\n"
)


def start(folder: Path) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return subprocess.Popen(
        [sys.executable, "-c", CODE],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_first_runs_at_once_after_a_killed_one(tmp_path: Path) -> None:
    tmp_path /= 'Anna\'s "photos" $1'  # MLflow writes the place of its own experiment as SQL
    tmp_path.mkdir()
    killed = start(tmp_path)
    end = time.monotonic() + 120
    while not list(tmp_path.glob(".darkroom-*/new/mlflow.db")) and time.monotonic() < end:
        time.sleep(0.02)
    assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "mlflow.db").exists(), "a part is no database"
    both = [start(tmp_path), start(tmp_path)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("creating mlflow.db" in words for words in said) == 1
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        assert store.execute("select count(*) from runs where status = 'FINISHED'").fetchone() == (
            2,
        )
    # Both are known where runs lie by default, and nothing else is left.
    assert {entry.name for entry in tmp_path.iterdir()} <= {"mlflow.db", "mlruns"}

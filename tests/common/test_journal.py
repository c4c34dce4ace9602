"""A real MLflow server that is killed in the middle of a run: nothing of the run is lost."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.common.journal import find_journal, start_recorded_run
from components.common.spec import Mlflow
from components.common.tracking import continue_run

NAMES = Mlflow(experiment="journal")


class Server:
    """An MLflow server in processes of its own, with its own store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        store = f"sqlite:///{self.folder / 'server.db'}"
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port)]
        command += ["--backend-store-uri", store, "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    import mlflow

    shutil.copy(mlflow_database, tmp_path / "server.db")
    found = Server(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    found.start()
    yield found
    if found.process.poll() is None:
        found.kill()
    while mlflow.active_run():
        mlflow.end_run()


def read_history(run_id: str) -> list[tuple[int, float]]:
    import mlflow

    found = mlflow.MlflowClient().get_metric_history(run_id, "loss")
    return sorted((metric.step, metric.value) for metric in found)


def test_server_killed_and_back_before_the_end(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    with start_recorded_run(NAMES, file) as mlflow:
        run_id = mlflow.active_run().info.run_id
        mlflow.log_metrics({"loss": 3.0}, step=1)
        server.kill()
        mlflow.log_metrics({"loss": 2.0}, step=2)
        assert find_journal(file).exists()
        assert "is lost; training goes on" in capsys.readouterr().out
        server.start()
        mlflow.log_metrics({"loss": 1.0}, step=3)
        assert not find_journal(file).exists()
        assert "1 records were sent" in capsys.readouterr().out
    assert read_history(run_id) == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_server_that_stays_away_is_told_by_the_next_room(server: Server, tmp_path: Path) -> None:
    file, artifact = tmp_path / "run.json", tmp_path / "note.txt"
    artifact.write_text("kept")
    with start_recorded_run(NAMES, file) as mlflow:
        run_id = mlflow.active_run().info.run_id
        server.kill()
        mlflow.log_metrics({"loss": 2.0}, step=2)
        mlflow.set_tag("kept", "yes")
        mlflow.log_artifact(str(artifact), "train")
    assert file.exists()
    server.start()
    with continue_run(NAMES, file) as again:
        found = again.get_run(run_id)
        assert again.active_run().info.run_id == run_id
    assert read_history(run_id) == [(2, 2.0)]
    assert found.data.tags["kept"] == "yes"
    names = [item.path for item in again.MlflowClient().list_artifacts(run_id, "train")]
    assert names == ["train/note.txt"]
    assert not find_journal(file).exists()

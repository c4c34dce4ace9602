"""A real MLflow server that is killed, or not there at all: nothing of a run is lost."""

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
from typing import Any

import pytest

from components.common.errors import DarkroomError
from components.common.files.writing import read_json, write_json
from components.common.settings.spec import Mlflow
from components.common.tracking.journal import find_journal
from components.common.tracking.recording import (
    continue_recorded_run,
    continue_run,
    start_recorded_run,
)
from components.common.tracking.runs import SCHEMA, log_params
from components.common.tracking.server import import_mlflow

NAMES = Mlflow(experiment="journal")


class Server:
    """An MLflow server in processes of its own, with its own store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        store = f"sqlite:///{self.folder / 'server.db'}"
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port)]
        command += ["--backend-store-uri", store, "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + 400  # busy machines took more than 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        assert self.process
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
    yield found
    if found.process and found.process.poll() is None:
        found.kill()
    while mlflow.active_run():
        mlflow.end_run()


def read_history(run_id: str) -> list[tuple[int, float]]:
    import mlflow

    found = mlflow.MlflowClient().get_metric_history(run_id, "loss")
    return sorted((metric.step, metric.value) for metric in found)


@pytest.mark.slow
def test_server_killed_and_back_before_the_end(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.start()
    file = tmp_path / "run.json"
    with start_recorded_run(NAMES, file) as mlflow:
        run_id = mlflow.active_run().info.run_id
        mlflow.log_metrics({"loss": 3.0}, step=1)
        server.kill()
        mlflow.log_metrics({"loss": 2.0}, step=2)
        assert find_journal(file).exists()
        assert "is lost; the work goes on" in capsys.readouterr().out
        server.start()
        mlflow.log_metrics({"loss": 1.0}, step=3)
        assert not find_journal(file).exists()
        assert "1 records were sent" in capsys.readouterr().out
    assert read_history(run_id) == [(1, 3.0), (2, 2.0), (3, 1.0)]


@pytest.mark.slow
def test_server_that_stays_away_is_told_by_the_next_room(server: Server, tmp_path: Path) -> None:
    server.start()
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


def record_apart(file: Path) -> str:
    """Train and evaluate with no server; return the id that the run has meanwhile."""
    import pandas as pd

    note = file.with_name("note.txt")
    note.write_text("kept")
    with start_recorded_run(NAMES, file) as mlflow:
        log_params(mlflow, {"seed": 1})
        counts = pd.DataFrame({"class": ["a"], "images": [3.0]})
        data = mlflow.data.from_pandas(counts, name="train split", digest="d" * 36)
        mlflow.log_input(data, context="training")
        mlflow.log_metrics({"loss": 2.0}, step=1)
        mlflow.log_artifact(str(note), "train")
    with continue_recorded_run(NAMES, file) as mlflow:
        log_params(mlflow, {"seed": 2, "level": 0.95})
        mlflow.log_metrics({"accuracy": 0.75})
        return str(mlflow.active_run().info.run_id)


def test_no_server_at_all_until_a_later_stage(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, before = tmp_path / "run.json", time.time() * 1000
    apart = record_apart(file)
    assert read_json(file)["run_id"] == apart
    told = capsys.readouterr().out
    assert f"MLflow at {server.uri} cannot be used" in told
    assert "run.unsent.jsonl keeps its record, which the next stage or run" in told
    with pytest.raises(DarkroomError, match="cannot be used"), continue_run(NAMES, file):
        pass  # a stage that needs the registry says so
    server.start()
    with continue_run(NAMES, file) as mlflow:
        run_id = mlflow.active_run().info.run_id
    assert not find_journal(file).exists()
    found = mlflow.get_run(run_id)
    assert found.data.params == {"seed": "1", "level": "0.95"}
    assert found.data.metrics == {"loss": 2.0, "accuracy": 0.75}
    assert found.data.tags["params.seed"] == "2"
    assert found.data.tags["darkroom.continues"] == apart
    assert before <= found.info.start_time <= time.time() * 1000 - 100  # when it began
    (used,) = found.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("train split", "d" * 36)
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    names = [item.path for item in mlflow.MlflowClient().list_artifacts(run_id, "train")]
    assert names == ["train/note.txt"]


@pytest.fixture
def nowhere(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point at a port where nothing listens; return the address of a store that answers."""
    store = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    return store


def search_runs() -> list[Any]:
    mlflow = import_mlflow()
    experiment = mlflow.get_experiment_by_name(NAMES.experiment)
    return list(mlflow.MlflowClient().search_runs([experiment.experiment_id]))


def test_a_failed_run_is_told_by_the_next_one(
    nowhere: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mlflow_store / "run.json"

    def fail() -> None:
        with start_recorded_run(NAMES, file) as mlflow:
            mlflow.log_metrics({"loss": 9.0}, step=1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with find_journal(file).open("a") as stream:
        stream.write('{"metrics": {"lo')  # as a kill may leave it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    with start_recorded_run(NAMES, file) as mlflow:
        mlflow.log_metrics({"loss": 1.0}, step=1)
    runs = {run.data.metrics["loss"]: run.info.status for run in search_runs()}
    assert runs == {9.0: "FAILED", 1.0: "FINISHED"}


@pytest.mark.parametrize("is_away", [False, True])
def test_runs_that_were_killed_and_that_nobody_goes_on_with_are_ended(
    is_away: bool, nowhere: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mlflow_store / "run.json"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    mlflow = import_mlflow()
    with start_recorded_run(NAMES, file):
        pass
    client = mlflow.MlflowClient()
    (done,) = search_runs()
    killed, other = (client.create_run(done.info.experiment_id) for _ in range(2))
    # One that ended is named as well, and one that no server knows; the file names a third.
    left = [killed.info.run_id, "0" * 32, done.info.run_id]
    write_json(file, {"run_id": other.info.run_id})
    if is_away:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        with start_recorded_run(NAMES, file, abandoned=left):
            pass
        assert client.get_run(killed.info.run_id).info.status == "RUNNING"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    with start_recorded_run(NAMES, file, abandoned=() if is_away else left):
        pass
    found = {run.info.run_id: run.info.status for run in search_runs()}
    assert found.pop(killed.info.run_id) == found.pop(other.info.run_id) == "KILLED"
    assert set(found.values()) == {"FINISHED"}


def test_a_run_that_was_killed_goes_on_in_the_run_that_was_opened_for_it(
    nowhere: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mlflow_store / "run.json"
    with start_recorded_run(NAMES, file) as mlflow:
        apart = mlflow.active_run().info.run_id
        mlflow.log_metrics({"loss": 2.0}, step=1)
    with start_recorded_run(NAMES, file, earlier=apart) as mlflow:  # and still no server
        mlflow.log_metrics({"loss": 1.5}, step=2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    with start_recorded_run(NAMES, file, earlier=apart) as mlflow:
        mlflow.log_metrics({"loss": 1.0}, step=3)
    (run,) = search_runs()
    assert read_history(run.info.run_id) == [(1, 2.0), (2, 1.5), (3, 1.0)]
    assert read_json(file) == SCHEMA.put_on({"run_id": run.info.run_id, "experiment": "journal"})


def test_the_record_travels_with_run_json(
    nowhere: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mlflow_store / "run.json"
    record_apart(file)
    find_journal(file).unlink()  # another machine has the file alone
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    for _ in range(2):
        with continue_run(NAMES, file):
            pass
    (run,) = search_runs()
    assert run.data.params == {"seed": "1"}
    assert read_history(run.info.run_id) == [(1, 2.0)]
    assert run.info.status == "FINISHED"


def test_a_server_that_refuses_is_an_error_at_once(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://bar")
    with (
        pytest.raises(DarkroomError, match="foo://bar"),
        start_recorded_run(NAMES, mlflow_store / "run.json"),
    ):
        pass

"""Runs in a real MLflow on sqlite, and what is said where MLflow cannot be used."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from components.common.errors import DarkroomError
from components.common.settings.spec import Mlflow
from components.common.tracking import server as tracking
from components.common.tracking.failures import hide_password
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.runs import log_params, read_run_id
from components.common.tracking.server import import_mlflow

NAMES = Mlflow(experiment="tests")


def status(mlflow: Any, run_id: str) -> str:
    return str(mlflow.get_run(run_id).info.status)


def test_run_is_finished_and_continued(mlflow_store: Path) -> None:
    file = mlflow_store / "run.json"
    with start_recorded_run(NAMES, file) as mlflow:
        log_params(mlflow, {"seed": 1})
        assert not file.exists()  # it is the last that is written
    run_id = read_run_id(file)
    assert json.loads(file.read_text()) == {
        "schema": "darkroom run 1",
        "run_id": run_id,
        "experiment": "tests",
    }
    assert status(mlflow, run_id) == "FINISHED"
    with continue_run(NAMES, file) as mlflow:
        assert mlflow.active_run().info.run_id == run_id
        assert status(mlflow, run_id) == "RUNNING"
        mlflow.log_metric("accuracy", 0.5)
    found = mlflow.get_run(run_id)
    assert (found.info.status, found.data.metrics["accuracy"]) == ("FINISHED", 0.5)
    assert mlflow.get_experiment(found.info.experiment_id).name == "tests"


@pytest.mark.parametrize(
    ("error", "ended"),
    [(ValueError, "FAILED"), (DarkroomError, "FAILED"), (KeyboardInterrupt, "KILLED")],
)
def test_run_fails_with_its_body(
    mlflow_store: Path, error: type[BaseException], ended: str
) -> None:
    file = mlflow_store / "run.json"
    runs = []

    def break_down() -> None:
        with start_recorded_run(NAMES, file) as mlflow:
            runs.append(mlflow.active_run().info.run_id)
            raise error("broken")

    with pytest.raises(error):
        break_down()
    mlflow, run_id = import_mlflow(), runs[0]
    assert status(mlflow, run_id) == ended
    assert not file.exists()
    assert mlflow.active_run() is None


def test_failure_of_a_later_room_fails_the_run_until_it_runs_again(mlflow_store: Path) -> None:
    file = mlflow_store / "run.json"
    with start_recorded_run(NAMES, file) as mlflow:
        pass
    with pytest.raises(ValueError, match="broken"), continue_run(NAMES, file):
        raise ValueError("broken")
    assert status(mlflow, read_run_id(file)) == "FAILED"
    with continue_run(NAMES, file):
        pass
    assert status(mlflow, read_run_id(file)) == "FINISHED"


@pytest.mark.parametrize("how", ["never seen", "deleted"])
def test_unknown_run_is_continued_by_one_new_run(
    mlflow_store: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = mlflow_store / "run.json"
    if how == "deleted":
        with start_recorded_run(NAMES, file) as mlflow:
            pass
        mlflow.delete_run(read_run_id(file))
    else:
        file.write_text('{"run_id": "0123456789abcdef0123456789abcdef"}')
    with continue_run(NAMES, file) as mlflow:
        first = mlflow.active_run().info.run_id
    assert first != read_run_id(file)
    assert "does not know run" in capsys.readouterr().out
    assert mlflow.get_run(first).data.tags["darkroom.continues"] == read_run_id(file)
    with continue_run(NAMES, file) as mlflow:
        assert mlflow.active_run().info.run_id == first


def test_changed_param_is_kept_beside_the_first(mlflow_store: Path) -> None:
    with start_recorded_run(NAMES, mlflow_store / "run.json") as mlflow:
        run_id = mlflow.active_run().info.run_id
        log_params(mlflow, {"seed": 1, "rate": 0.1})
        log_params(mlflow, {"seed": 2, "rate": 0.1, "new": True})
    data = mlflow.get_run(run_id).data
    assert data.params == {"seed": "1", "rate": "0.1", "new": "True"}
    assert data.tags["params.seed"] == "2"
    assert "params.rate" not in data.tags


def test_deleted_experiment_says_how_to_restore_it(mlflow_store: Path) -> None:
    mlflow = import_mlflow()
    found = mlflow.create_experiment("gone")
    mlflow.delete_experiment(found)
    with (
        pytest.raises(DarkroomError, match=rf"experiment gone was deleted.*restore -x {found}"),
        start_recorded_run(Mlflow(experiment="gone"), mlflow_store / "run.json"),
    ):
        pass


@pytest.mark.parametrize("text", ["{}", "[]", '{"run_id": 3}'])
def test_run_file_without_a_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DarkroomError, match=r"run.json: holds no run_id; run train again"):
        read_run_id(tmp_path / "run.json")


def test_run_file_that_is_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(DarkroomError, match=r"run.json: not there"),
        continue_run(NAMES, tmp_path / "run.json"),
    ):
        pass


def use(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_server_that_is_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # bound but not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        use(monkeypatch, f"http://127.0.0.1:{port}")
        with pytest.raises(
            DarkroomError, match=r"used \(\[Errno \d+\] .*refused\); start"
        ) as caught:
            import_mlflow()
    assert f"MLflow at http://127.0.0.1:{port} cannot" in str(caught.value)
    assert capsys.readouterr() == (
        "",
        f"  MLflow at http://127.0.0.1:{port} does not answer; trying again for a while\n",
    )


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("foo://bar", "foo://bar"),
        ("sqlite:///{folder}/text.db", "file is not a database"),
        ("postgresql://me:hidden@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db"),
    ],
)
def test_address_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, words: str
) -> None:
    (tmp_path / "text.db").write_text("no database\n" * 100)
    use(monkeypatch, uri.format(folder=tmp_path))
    with pytest.raises(DarkroomError, match=words) as caught:
        import_mlflow()
    assert "hidden" not in str(caught.value)


def test_database_of_another_mlflow(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = mlflow_store / "other.db"  # MLflow looks once at each address
    shutil.copy(mlflow_store / "mlflow.db", other)
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    use(monkeypatch, f"sqlite:///{other}")
    with pytest.raises(
        DarkroomError, match=r"made by another MLflow than .* `mlflow db upgrade`"
    ) as it:
        import_mlflow()
    assert "found version ffffffffffff" in str(it.value)
    assert "start it" not in str(it.value)


def test_server_that_goes_down_in_the_middle(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mlflow_store / "run.json"
    with start_recorded_run(NAMES, file):
        pass

    def lose_the_server() -> None:
        with continue_run(NAMES, file) as mlflow:
            mlflow.end_run()
            use(monkeypatch, "http://127.0.0.1:9")
            mlflow.set_tracking_uri("http://127.0.0.1:9")
            mlflow.search_experiments()

    with pytest.raises(DarkroomError, match=r"127.0.0.1:9 cannot be used"):
        lose_the_server()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:pw@host:5000/x", "http://host:5000/x"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("postgresql://me:p@w@host/db", "postgresql://host/db"),
    ],
)
def test_password_is_hidden(uri: str, shown: str) -> None:
    assert hide_password(uri) == shown


def test_nothing_but_findings_reaches_the_terminal(tmp_path: Path) -> None:
    """A fresh process, a fresh database in its working folder: migrations, run and all."""
    code = (
        "from pathlib import Path\n"
        "from components.common.settings.spec import Mlflow\n"
        "from components.common.tracking.recording import start_recorded_run, continue_run\n"
        "for visit in (start_recorded_run, continue_run):\n"
        "    with visit(Mlflow(), Path('run.json')) as mlflow:\n"
        "        mlflow.log_metric('m', 1)\n"
    )
    root = Path(tracking.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.stdout.splitlines() == [
        "  creating mlflow.db, the database of MLflow: once, and about ten seconds"
    ]
    assert done.stderr == ""
    assert (tmp_path / "mlflow.db").is_file()


def test_a_kfp_task_that_is_tried_again_goes_on_in_the_same_run(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "5a7c")
    names = Mlflow("kfp", "darkroom")
    mlflow = import_mlflow()
    seen = []

    def die() -> None:
        with start_recorded_run(names, mlflow_store / "run.json"):
            seen.append(mlflow.active_run().info.run_id)
            raise KeyError

    with pytest.raises(KeyError):
        die()
    (first,) = seen
    assert mlflow.get_run(first).info.status == "FAILED"
    with start_recorded_run(names, mlflow_store / "run.json") as mlflow:
        assert mlflow.active_run().info.run_id == first
    found = mlflow.get_run(first)
    assert (found.info.status, found.data.tags["darkroom.kfp_run_id"]) == ("FINISHED", "5a7c")
    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "another")
    with start_recorded_run(names, mlflow_store / "run.json") as mlflow:
        assert mlflow.active_run().info.run_id != first


@pytest.mark.parametrize("kind", ["folder", "other"])
def test_what_is_no_database_of_mlflow_is_left_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes its tables in the database of something else, and tries a folder for minutes."""
    file = tmp_path / "mine.db"
    if kind == "folder":
        file.mkdir()
    else:
        with closing(sqlite3.connect(file)) as made:
            made.execute("CREATE TABLE studies (name TEXT)")
            made.commit()
    before = None if kind == "folder" else file.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(DarkroomError, match=r"mine\.db: .*set MLFLOW_TRACKING_URI to another"):
        import_mlflow()
    assert before is None or file.read_bytes() == before


def test_an_address_with_a_slip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://[::1", "http://127.0.0.1:99999"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(DarkroomError, match=r"MLFLOW_TRACKING_URI: .* is no address"):
            import_mlflow()

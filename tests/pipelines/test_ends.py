"""How a task ends: the verdict, what MLflow and Kubernetes are told, its last line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.steps import rooms, runs
from pipelines.steps.views import describe_verdict


def test_the_verdict_in_words_says_what_the_verdict_says() -> None:
    verdict = {
        "verdict": "rejected", "words": "accuracy 0.7 is below 0.8", "model": "darkroom",
        "version": "3", "rules": [{"outcome": "failed", "words": "accuracy\nat least 0.8"}],
        "mlflow": "http://mlflow:5000", "run_id": "r1", "aliases": ["challenger"],
        "champion_before": "2", "lineage": {"git_commit": "4e1"},
        "against_champion": {"won": 20, "won_paths": [f"{i}.png" for i in range(20)]},
    }  # fmt: skip
    lines = describe_verdict(verdict).splitlines()
    assert lines[0] == "darkroom version 3: rejected"
    assert "- failed: accuracy at least 0.8" in lines
    assert "MLflow: http://mlflow:5000, run r1" in lines
    assert "champion before: 2" in lines
    assert "git_commit: 4e1" in lines
    (won,) = [line for line in lines if line.startswith("20 images won")]
    assert won.count(".png") == 10


def test_the_champion_look_up_tells_none_another_and_the_same(mlflow_store: Path) -> None:
    from mlflow import MlflowClient

    from pipelines.steps.runs import THIS_MODEL, look_up_champion

    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}
    assert look_up_champion(given, "abc") == "none"
    client = MlflowClient()
    client.create_registered_model("digits")
    tags = {"darkroom.model_digest": "abc"}
    version = client.create_model_version("digits", str(mlflow_store), tags=tags).version
    client.set_registered_model_alias("digits", "champion", version)
    assert look_up_champion(given, "abc") == THIS_MODEL
    assert look_up_champion(given, "def") == "version 1"


def test_a_model_that_is_champion_already_is_not_promoted_again(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.steps import promotion

    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(promotion, "look_up_champion", lambda *_: runs.THIS_MODEL)
    monkeypatch.setattr(promotion, "run_room", refuse)
    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}
    assert "is champion already" in promotion.promote(given, "abc")


@pytest.mark.parametrize(
    ("error", "state", "status"),
    [
        (KeyError, "FAILED", "FAILED"),
        (SystemExit, "FAILED", "FAILED"),
        (None, "SUCCEEDED", "RUNNING"),
    ],
)
def test_how_the_run_ended_is_on_the_mlflow_run(
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException] | None,
    state: str,
    status: str,
) -> None:
    import mlflow

    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "5a7c")
    mlflow.set_experiment("darkroom")
    run = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "5a7c"})
    other = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "other"})
    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}

    def work() -> None:
        with runs.recording_end(given, last=True):
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    found = mlflow.get_run(run.info.run_id)
    assert found.data.tags["darkroom.kfp_state"] == state
    assert found.info.status == status  # the rooms end their run themselves
    assert "darkroom.kfp_state" not in mlflow.get_run(other.info.run_id).data.tags


def test_a_failure_is_told_though_mlflow_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away() -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(runs, "import_mlflow", away)
    with pytest.raises(KeyError), runs.recording_end({"mlflow": {}}):
        raise KeyError
    assert "MLflow was not told that the run ended: no route to host" in capsys.readouterr().err


def test_kfps_own_mlflow_run_is_left_aside_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    monkeypatch.setenv("MLFLOW_RUN_ID", "0123")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    rooms.leave_kfps_run()
    assert "KFP's MLflow plugin set MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID" in capsys.readouterr().out
    assert "MLFLOW_RUN_ID" not in os.environ
    rooms.leave_kfps_run()
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    with pytest.raises(SystemExit):
        rooms.one_line(fail)()
    assert capsys.readouterr().err.startswith("error: /tmp/x is full; see tmp_size")


@pytest.mark.parametrize("passing", [False, True])
def test_kubernetes_keeps_the_last_line_and_whether_another_attempt_may_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passing: bool
) -> None:
    from components.common.errors import DarkroomError

    monkeypatch.setattr(rooms, "TERMINATION", tmp_path / "termination-log")
    rooms.TERMINATION.write_text("")  # as the kubelet makes it

    def fail() -> None:
        try:
            if passing:
                raise ConnectionResetError
            raise KeyError
        except (KeyError, ConnectionError) as error:
            raise DarkroomError("the store broke off") from error

    with pytest.raises(SystemExit):
        rooms.one_line(fail)()
    begins = "try again: " if passing else "error: "
    assert rooms.TERMINATION.read_text() == f"{begins}the store broke off"


def test_a_users_error_is_the_last_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from components.common.errors import DarkroomError

    def fail() -> None:
        raise DarkroomError("the photos\nare gone")

    with pytest.raises(SystemExit) as caught:
        rooms.one_line(fail)()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: the photos are gone\n"

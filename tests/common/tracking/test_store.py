"""MLflow's store of artifacts: one that answers, refuses, hangs, or has no keys here."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from components.common.errors import DarkroomError
from components.common.tracking.store import HASTE, check_store
from pipelines.steps.rooms import is_passing


@pytest.fixture
def mlflow(mlflow_store: Path) -> Any:
    import mlflow
    from mlflow.store.artifact import s3_artifact_repo

    s3_artifact_repo._cached_get_s3_client.cache_clear()  # of the test before, at another address
    return mlflow


def list_keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="photos").get("Contents", [])]


def test_a_store_that_answers_holds_afterwards_what_it_held(
    mlflow: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    mlflow.create_experiment("there", artifact_location="s3://photos/runs")
    s3.put_object(Bucket="photos", Key="runs/model.keras", Body=b"a model")
    check_store(mlflow, "there")
    assert list_keys(s3) == ["runs/model.keras"]
    assert {name: os.environ.get(name) for name in HASTE} == {
        "AWS_MAX_ATTEMPTS": "7",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": None,
    }


def test_a_bucket_that_is_not_there_is_called_by_its_name(mlflow: Any, s3: Any) -> None:
    mlflow.create_experiment("refused", artifact_location="s3://nobody/runs")
    with pytest.raises(DarkroomError, match=r"store of artifacts, s3://nobody/runs, .*NoSuchB"):
        check_store(mlflow, "refused")


def test_a_store_that_hangs_is_waited_for_no_longer_than_told_and_may_be_tried_again(
    mlflow: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        mlflow.create_experiment("silent", artifact_location="s3://photos/runs")
        begun = time.monotonic()
        with pytest.raises(DarkroomError, match="no answer within 2 s") as caught:
            check_store(mlflow, "silent", seconds=2)
        assert time.monotonic() - begun < 10
    assert is_passing(caught.value)


def test_a_folder_that_cannot_be_written_is_said(mlflow: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    mlflow.create_experiment("local", artifact_location=str(tmp_path / "file" / "runs"))
    with pytest.raises(DarkroomError, match=r"file/runs, cannot be used"):
        check_store(mlflow, "local")


def test_where_the_keys_are_not_it_is_not_looked_at(
    mlflow: Any, s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it remembers keys
    mlflow.create_experiment("later", artifact_location="s3://photos/runs")
    check_store(mlflow, "later")
    assert "s3://photos/runs is not looked at" in capsys.readouterr().out

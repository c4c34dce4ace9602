"""The same on a real MLflow server with PostgreSQL and an S3-style store, and when they fail."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.common.settings.spec import Mlflow
from components.common.tracking import failures
from components.common.tracking.recording import start_recorded_run
from components.common.tracking.server import import_mlflow
from components.predict import run as predict
from components.promote import people, run
from components.promote.registry.ledger import Ledger
from components.promote.spec import Inputs, Outputs, Params, Rule
from pipelines.steps.fetch import check_mlflow
from tests.promote.conftest import aliases, count_versions, starting_in_process
from tests.promote.servers import Line, start_mlflow, start_moto, starting_postgres

pytestmark = pytest.mark.e2e
SECRET, PASSWORD, BUCKET = "s3cr3t-of-the-store", "p4ssw0rd-of-mlflow", "darkroom"
EASY = [Rule("accuracy", at_least=0.1)]


@dataclass
class Place:
    registry: Line
    store: Line
    folder: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Servers for all tests of this file, behind lines that can be cut."""
    pytest.importorskip("boto3", reason="needs the extra `servers`")
    pytest.importorskip("moto", reason="needs the extra `dev`")
    import boto3

    folder = tmp_path_factory.mktemp("servers")
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": SECRET}
    keys |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    variables = dict(os.environ) | keys
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        database = stack.enter_context(starting_postgres())
        moto, port = start_moto(folder, variables)
        stack.enter_context(moto)
        store = Line(port)
        stack.callback(store.close)
        for name, value in (keys | {"MLFLOW_S3_ENDPOINT_URL": store.address}).items():
            patch.setenv(name, value)
        boto3.client("s3", endpoint_url=store.address).create_bucket(Bucket=BUCKET)
        server, port = start_mlflow(folder, variables, database, f"s3://{BUCKET}/runs")
        stack.enter_context(server)
        registry = Line(port)
        stack.callback(registry.close)
        yield Place(registry, store, folder)


@pytest.fixture
def promote(
    place: Place,
    lay_out: Callable[..., Inputs],
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, Any]]:
    """Promote there, under a model name of this test."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.registry.address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "someone")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setattr(failures.time, "sleep", lambda seconds: None)
    name = f"model-{mlflow_store.name}"[:40]

    def act(model: int = 0, same_run: bool = False, real: bool = False) -> dict[str, Any]:
        inputs = lay_out(model)
        names = Mlflow(registered_model=name)
        if not same_run:
            with start_recorded_run(names, inputs.run):
                pass
        with pytest.MonkeyPatch.context() as patch:
            for module in (run, people) if not real else ():
                patch.setattr(module, "starting_server", starting_in_process)
            params = Params(rules=EASY, served_images=4, mlflow=names)
            run.run(inputs, Outputs(mlflow_store / "verdict.json"), params)
        found: dict[str, Any] = json.loads((mlflow_store / "verdict.json").read_text())
        return found

    return act


@pytest.mark.slow
def test_promotion_rollback_prediction_and_no_secret_anywhere(
    promote: Callable[..., dict[str, Any]],
    place: Place,
    mlflow_store: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = promote(0, real=True)  # with a server of its own, which loads from S3
    assert first["verdict"] == "promoted", first["words"]
    name = first["model"]
    assert promote(1)["version"] == "2"
    assert aliases(name)["champion"] == "2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people, "starting_server", starting_in_process)
        run_room("promote", ["rollback", "--name", name, "--reason", "a test"])
    assert aliases(name)["champion"] == "1"
    book = Ledger(import_mlflow(), name).read()
    assert book.breaks == []
    assert [entry.action for entry in book.entries if entry.alias == "champion"] == [
        "promote", "promote", "rollback",
    ]  # fmt: skip
    assert book.entries[-1].evidence["account"]["mlflow_user"] == "someone"
    model = f"models:/{name}@champion"
    answers = predict.Outputs(str(mlflow_store / "answers.csv"), False, None)
    predict.run(predict.Inputs(model, [photos]), answers, predict.Params())
    assert len((mlflow_store / "answers.csv").read_text().splitlines()) == 31
    run_room("promote", ["history", "--name", name])

    told = capsys.readouterr()
    kept = [told.out, told.err, (place.folder / "mlflow.log").read_text()]
    kept += [file.read_text() for file in mlflow_store.glob("*.json")]
    client = import_mlflow().MlflowClient()
    for experiment in client.search_experiments():
        for found in client.search_runs([experiment.experiment_id]):
            kept.append(json.dumps(found.to_dictionary()))
            folder = client.download_artifacts(found.info.run_id, "", str(mlflow_store))
            for file in Path(folder).rglob("*"):
                kept.append(file.read_bytes().decode("latin-1") if file.is_file() else "")
    kept += [str(dict(found.tags)) for found in client.search_model_versions(f"name = '{name}'")]
    assert sum(len(text) for text in kept) > 10_000
    for secret in (SECRET, PASSWORD):
        assert not [text[:200] for text in kept if secret in text]


def test_upload_that_is_cut_once_goes_through(
    promote: Callable[..., dict[str, Any]], place: Place
) -> None:
    promote(0)
    cuts = place.store.cuts
    place.store.cut = 6000  # bytes, in the middle of the first larger file
    verdict = promote(1)
    assert place.store.cuts == cuts + 1
    assert verdict["verdict"] == "promoted"
    assert count_versions(verdict["model"]) == 2


def test_store_that_is_down_leaves_no_version_and_is_healed(
    promote: Callable[..., dict[str, Any]], place: Place, mlflow_store: Path
) -> None:
    name = promote(0)["model"]
    place.store.down = True
    try:
        with pytest.raises(DarkroomError, match="store of artifacts of MLflow cannot be used"):
            promote(1)
    finally:
        place.store.down = False
    assert count_versions(name) == 1
    assert aliases(name)["champion"] == "1"
    assert promote(1, same_run=True)["version"] == "2"
    assert aliases(name)["champion"] == "2"


@pytest.mark.slow
def test_the_first_task_of_the_pipeline_says_that_the_store_is_down(
    place: Place, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.registry.address)
    check_mlflow("first")  # makes the experiment, as train would
    place.store.down = True
    begun = time.monotonic()
    try:
        with pytest.raises(DarkroomError, match=rf"store of artifacts, s3://{BUCKET}/runs/\d+, "):
            check_mlflow("first")
    finally:
        place.store.down = False
    assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_registry_that_goes_down_leaves_no_version_and_is_healed(
    promote: Callable[..., dict[str, Any]], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = promote(0)["model"]
    save = run.Registry.register

    def lose_the_line(self: Any, *arguments: Any, **named: Any) -> str:
        place.registry.down = True
        return save(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(run.Registry, "register", lose_the_line)
        try:
            with pytest.raises(DarkroomError, match=r"cannot be used .*; start it") as caught:
                promote(1)
        finally:
            place.registry.down = False
    assert PASSWORD not in str(caught.value)
    assert count_versions(name) == 1
    assert promote(1, same_run=True)["version"] == "2"

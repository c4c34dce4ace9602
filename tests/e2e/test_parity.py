"""`dvc repro`, KFP in processes and KFP in containers write the same from the same photos."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.docker.engine import find_image
from tests.e2e.conftest import FirstRun
from tests.e2e.project import ROOT, call, write_photos

IMAGE = os.environ.get("DARKROOM_IMAGE", "darkroom:latest")

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass(frozen=True)
class Written:
    """What a run of the pipeline left."""

    manifest: Path
    splits: Path
    shards: Path
    metrics: Path
    run: Path  # the folder of all of it

    def compute_digests(self) -> dict[str, str]:
        files = [self.manifest, self.splits, *sorted(self.shards.iterdir())]
        return {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def read_kfp(root: Path, validate: str = "validate") -> Written:
    """Return where KFP's local run put the artifacts, the manifest by the task `validate`."""
    (run,) = root.glob("darkroom-*")
    shards = run / "collect-shards" / "shards"
    return Written(
        run / validate / "manifest" / "manifest.parquet",
        shards / "splits.parquet",
        shards / "shards",
        run / "evaluate" / "evaluation" / "metrics.json",
        run,
    )


@pytest.fixture(scope="module")
def settings(first_run: FirstRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the params file of the first run, and its photos as an archive."""
    folder = tmp_path_factory.mktemp("settings")
    write_photos(folder / "photos")
    archive = folder / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "photos", arcname="photos")
    yaml = YAML()
    params = yaml.load(first_run.params)
    params["data"]["source"] = "data/images"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    params["ingest"] |= {"source": str(archive), "sha256": digest}
    yaml.dump(params, folder / "params.yaml")
    return folder


@pytest.fixture(scope="module")
def by_dvc(first_run: FirstRun) -> Written:
    return Written(
        first_run.data / "manifest.parquet",
        first_run.data / "splits.parquet",
        first_run.data / "shards",
        first_run.reports / "metrics.json",
        first_run.reports,
    )


@pytest.fixture(scope="module")
def by_kfp(
    settings: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Written:
    folder = tmp_path_factory.mktemp("kfp")
    shutil.copy(mlflow_database, folder)
    run_pipeline(folder, settings, "--root", "runs")
    return read_kfp(folder / "runs")


@pytest.fixture(scope="module")
def by_docker(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("docker")
    archive = folder / "photos.tar"  # containers see the folder of the run alone
    shutil.copy(settings / "photos.tar", archive)
    changes = ("--set", f"kubeflow.image={IMAGE}", "--set", f"ingest.source={archive}")
    run_pipeline(folder, settings, "--docker", "--root", str(folder), *changes)
    return read_kfp(folder)


def run_pipeline(folder: Path, settings: Path, *words: str) -> None:
    """Run the pipeline by KFP on this machine."""
    command = [sys.executable, "-m", "pipelines", "run", *words]
    call(folder, *command, "--params", str(settings / "params.yaml"), PYTHONPATH=str(ROOT))


def check_equal(one: Written, other: Written) -> None:
    assert one.compute_digests() == other.compute_digests()
    assert json.loads(one.metrics.read_text()) == json.loads(other.metrics.read_text())


def test_the_pages_of_a_run_show_what_it_found(by_kfp: Written) -> None:
    page = (by_kfp.run / "validate" / "data_docs").read_text()
    assert page.count("<iframe") >= 1
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (by_kfp.run / "evaluate" / "report").read_text().startswith("<!doctype html>")
    output = json.loads((by_kfp.run / "evaluate" / "executor_output.json").read_text())
    logged = output["artifacts"]["evaluation"]["artifacts"][0]["metadata"]
    assert logged["accuracy"] == json.loads(by_kfp.metrics.read_text())["accuracy"]


def test_mlflow_knows_the_kfp_run_and_kfp_the_mlflow_run(by_kfp: Written) -> None:
    mlflow_run = json.loads((by_kfp.run / "train" / "model" / "run.json").read_text())["run_id"]
    output = json.loads((by_kfp.run / "train" / "executor_output.json").read_text())
    assert output["artifacts"]["model"]["artifacts"][0]["metadata"]["mlflow_run"] == mlflow_run
    import sqlite3

    with sqlite3.connect(by_kfp.run.parents[1] / "mlflow.db") as database:
        asked = database.execute("select key, value from tags where run_uuid = ?", [mlflow_run])
        tags = dict(asked.fetchall())
    assert tags["darkroom.kfp_run_id"].startswith("local-")
    assert tags["darkroom.kfp_state"] == "SUCCEEDED"


def test_kfp_in_processes_writes_what_dvc_repro_writes(by_dvc: Written, by_kfp: Written) -> None:
    assert len(list(by_dvc.shards.iterdir())) >= 4  # three splits and dataset.json
    check_equal(by_dvc, by_kfp)


def test_the_verdict_is_the_same_and_kfp_returns_it_in_words(
    by_dvc: Written, by_kfp: Written
) -> None:
    verdict = json.loads((by_dvc.run / "verdict.json").read_text())
    output = json.loads((by_kfp.run / "promote" / "executor_output.json").read_text())
    words = output["parameterValues"]["Output"].splitlines()
    # The served check measures milliseconds, which differ from run to run.
    assert words[0] == f"darkroom version 1: {verdict['verdict']}"
    outcomes = [line[2:].partition(":")[0] for line in words if line.startswith("- ")]
    assert outcomes == [rule["outcome"] for rule in verdict["rules"]]


def test_images_by_a_listing_make_what_dvc_repro_makes_and_make_it_once(
    by_dvc: Written, settings: Path, mlflow_database: Path, s3: Any, tmp_path: Path
) -> None:
    photos = settings / "photos"
    for file in photos.rglob("*.png"):
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(photos)}")
    shutil.copy(mlflow_database, tmp_path)
    words = ["--root", "runs", "--cache", "--set", "kubeflow.fetch.source=s3://photos/mine"]
    words += ["--set", "kubeflow.fetch.images=listing"]
    run_pipeline(tmp_path, settings, *words)
    by_listing = read_kfp(tmp_path / "runs", "judge-images")
    check_equal(by_dvc, by_listing)
    run_pipeline(tmp_path, settings, *words)
    (again,) = set((tmp_path / "runs").glob("darkroom-*")) - {by_listing.run}
    # KFP's local cache wants a file of each artifact, and evaluate's confusion matrix has none.
    assert {one.name for one in again.iterdir()} == {"find-images", "evaluate", "promote"}


@pytest.mark.docker
def test_kfp_in_containers_writes_what_dvc_repro_writes(
    by_dvc: Written, request: pytest.FixtureRequest
) -> None:
    find_image()
    check_equal(by_dvc, request.getfixturevalue("by_docker"))

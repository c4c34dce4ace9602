"""`dvc repro`, KFP in processes and KFP in containers write the same from the same photos."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines.settings import apply_change

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("DARKROOM_IMAGE", "darkroom:latest")

pytestmark = pytest.mark.e2e


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


def call(folder: Path, *words: str, **variables: str) -> str:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_", "KFP_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{known['PATH']}"
    done = subprocess.run(
        words,
        cwd=folder,
        env=known | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def read_kfp(root: Path) -> Written:
    """Return where KFP's local run put the artifacts."""
    (run,) = root.glob("darkroom-*")
    shards = run / "collect-shards" / "shards"
    return Written(
        run / "validate" / "manifest" / "manifest.parquet",
        shards / "splits.parquet",
        shards / "shards",
        run / "evaluate" / "evaluation" / "metrics.json",
        run,
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a params file for 100 digits, and the archive with them."""
    from tests.pipelines.conftest import write_archive

    folder = tmp_path_factory.mktemp("settings")
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    for change in write_archive(folder):
        apply_change(params, change)
    yaml.dump(params, folder / "params.yaml")
    return folder


@pytest.fixture(scope="module")
def by_dvc(
    settings: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Written:
    folder = tmp_path_factory.mktemp("dvc")
    shutil.copy(mlflow_database, folder)
    for name in ("components", "dvc.yaml", ".dvcignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    shutil.copy(settings / "params.yaml", folder)
    call(folder, "dvc", "init", "--no-scm", "-q")
    call(folder, "dvc", "repro")
    data, reports = folder / "data", folder / "reports"
    return Written(
        data / "manifest.parquet",
        data / "splits.parquet",
        data / "shards",
        reports / "metrics.json",
        folder,
    )


@pytest.fixture(scope="module")
def by_kfp(
    settings: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Written:
    folder = tmp_path_factory.mktemp("kfp")
    shutil.copy(mlflow_database, folder)
    params = str(settings / "params.yaml")
    call(
        folder,
        *(sys.executable, "-m", "pipelines", "run", "--root", "runs", "--params", params),
        PYTHONPATH=str(ROOT),
    )
    return read_kfp(folder / "runs")


@pytest.fixture(scope="module")
def by_docker(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("docker")
    # Containers see the folder of the run alone.
    shutil.copy(settings / "digits.tar", folder)
    call(
        folder,
        *(sys.executable, "-m", "pipelines", "run", "--docker", "--root", str(folder)),
        *("--params", str(settings / "params.yaml"), "--set", f"kubeflow.image={IMAGE}"),
        *("--set", f"ingest.source={folder / 'digits.tar'}"),
        PYTHONPATH=str(ROOT),
    )
    return read_kfp(folder)


def check_equal(one: Written, other: Written) -> None:
    assert one.compute_digests() == other.compute_digests()
    assert json.loads(one.metrics.read_text()) == json.loads(other.metrics.read_text())


def test_kfp_in_processes_writes_what_dvc_repro_writes(by_dvc: Written, by_kfp: Written) -> None:
    assert len(list(by_dvc.shards.iterdir())) >= 4  # three splits and dataset.json
    check_equal(by_dvc, by_kfp)


def test_the_verdict_is_the_same_and_kfp_returns_it_in_words(
    by_dvc: Written, by_kfp: Written
) -> None:
    verdict = json.loads((by_dvc.run / "reports" / "verdict.json").read_text())
    output = json.loads((by_kfp.run / "promote" / "executor_output.json").read_text())
    words = output["parameterValues"]["Output"].splitlines()
    # The served check measures milliseconds, which differ from run to run.
    assert words[0] == f"darkroom version 1: {verdict['verdict']}"
    outcomes = [line[2:].partition(":")[0] for line in words if line.startswith("- ")]
    assert outcomes == [rule["outcome"] for rule in verdict["rules"]]


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


@pytest.mark.docker
def test_kfp_in_containers_writes_what_dvc_repro_writes(
    by_dvc: Written, project_image: str, request: pytest.FixtureRequest
) -> None:
    check_equal(by_dvc, request.getfixturevalue("by_docker"))

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
    verdict: Path

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
    found = {file.name: file for file in run.rglob("*") if file.name in ("metrics", "verdict")}
    return Written(
        run / "validate" / "manifest",
        run / "plan-shards" / "splits",
        run / "collect-shards" / "shards",
        found["metrics"],
        found["verdict"],
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
        reports / "verdict.json",
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
    verdicts = [json.loads(each.verdict.read_text()) for each in (one, other)]
    assert verdicts[0]["verdict"] == verdicts[1]["verdict"]
    assert verdicts[0]["figures"] == verdicts[1]["figures"]
    # The served check measures milliseconds, which differ from run to run.
    rules = [[(rule["metric"], rule["outcome"]) for rule in one["rules"]] for one in verdicts]
    assert rules[0] == rules[1]


def test_kfp_in_processes_writes_what_dvc_repro_writes(by_dvc: Written, by_kfp: Written) -> None:
    assert len(list(by_dvc.shards.iterdir())) >= 4  # three splits and dataset.json
    check_equal(by_dvc, by_kfp)


def test_the_pages_of_a_run_show_what_it_found(by_kfp: Written) -> None:
    run = by_kfp.manifest.parents[1]
    page = (run / "validate" / "data_page").read_text()
    assert page.count("<iframe") >= 1
    assert "http://" not in page.replace("http://www.w3.org", "")
    (verdict,) = run.rglob("verdict_page")
    assert json.loads(by_kfp.verdict.read_text())["words"] in verdict.read_text()
    (ending,) = run.rglob("ending")
    assert ending.read_text().startswith("# The pipeline ended: SUCCEEDED")


def test_mlflow_knows_the_kfp_run_and_kfp_the_mlflow_run(by_kfp: Written) -> None:
    run = by_kfp.manifest.parents[1]
    mlflow_run = json.loads((run / "train" / "run").read_text())["run_id"]
    output = json.loads((run / "train" / "executor_output.json").read_text())
    assert output["artifacts"]["model"]["artifacts"][0]["metadata"]["mlflow_run"] == mlflow_run
    import sqlite3

    with sqlite3.connect(run.parents[1] / "mlflow.db") as database:
        asked = database.execute("select key, value from tags where run_uuid = ?", [mlflow_run])
        tags = dict(asked.fetchall())
    assert tags["darkroom.kfp_run_id"].startswith("local-")
    assert tags["darkroom.kfp_state"] == "SUCCEEDED"


@pytest.mark.docker
def test_kfp_in_containers_writes_what_dvc_repro_writes(
    by_dvc: Written, project_image: str, request: pytest.FixtureRequest
) -> None:
    check_equal(by_dvc, request.getfixturevalue("by_docker"))

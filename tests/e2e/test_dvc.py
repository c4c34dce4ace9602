"""`dvc repro` as a person meets it: photos in, a champion out; nothing to do; one change."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time

import pytest
from PIL import Image

from components import STAGES
from components.common.files.writing import compute_sha256
from tests.contract.commands import PAGES, ROOT
from tests.e2e.conftest import FirstRun
from tests.e2e.project import Project, create_environment

RAN = re.compile(r"Running stage '(\w+)'")

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(first_run: FirstRun) -> Project:
    """Return the project with its first model in git."""
    made = first_run.project
    made.call("git", "add", "dvc.lock")
    made.call("git", "commit", "--quiet", "--message", "first model")
    return made


def test_the_first_run_walks_through_all_rooms(first_run: FirstRun, project: Project) -> None:
    printed = first_run.printed
    assert tuple(RAN.findall(printed)) == STAGES
    for number, room in enumerate(STAGES, 1):
        assert f"{number}/{len(STAGES)} {room} · " in printed
    assert "oneDNN" not in printed, "TensorFlow's greetings are kept off the terminal"
    assert "WARNING" not in printed
    for name in (
        "data/manifest.parquet",
        "data/splits.parquet",
        "data/shards/dataset.json",
        "models/model.keras",
        "reports/validation.json",
        "reports/quarantine.csv",
        "reports/data_docs/index.html",
        "reports/history.csv",
        "reports/predictions.parquet",
        "reports/metrics.json",
        "reports/report.html",
        "reports/verdict.json",
    ):
        assert (project.folder / name).stat().st_size, name


def test_the_network_was_not_asked(first_run: FirstRun) -> None:
    assert not first_run.asked.exists(), first_run.asked.read_text()


def test_the_model_is_champion_and_its_origin_is_known(project: Project) -> None:
    verdict = json.loads(project.read("reports/verdict.json"))
    assert verdict["verdict"] == "promoted"
    assert set(verdict["aliases"]) == {"challenger", "champion"}
    assert verdict["lineage"]["git_commit"]
    assert verdict["lineage"]["images_dvc"].endswith(".dir")
    assert verdict["lineage"]["images_dvc"] in project.read("data/photos.dvc")


def test_one_mlflow_run_holds_the_whole_execution(project: Project) -> None:
    """Read by the real MLflow, in a process of its own."""
    code = (
        "import json, mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "client = mlflow.MlflowClient()\n"
        "run, = mlflow.search_runs(experiment_names=['darkroom'], output_format='list')\n"
        "steps = [m.step for m in client.get_metric_history(run.info.run_id, 'val_accuracy')]\n"
        "version = client.get_model_version_by_alias('darkroom', 'champion')\n"
        "model = mlflow.models.get_model_info('models:/darkroom@champion')\n"
        "print(json.dumps({'status': run.info.status, 'params': run.data.params,\n"
        "  'metrics': run.data.metrics, 'steps': steps, 'version': version.version,\n"
        "  'version_run': version.run_id, 'run': run.info.run_id,\n"
        "  'signature': model.signature.to_dict(),\n"
        "  'data': [[i.dataset.name, i.dataset.digest] for i in run.inputs.dataset_inputs],\n"
        "  'artifacts': [f.path for f in client.list_artifacts(run.info.run_id)]}))\n"
    )
    found = json.loads(project.call("python", "-c", code).splitlines()[-1])
    assert found["status"] == "FINISHED"
    assert found["params"]["train.finetune.epochs"] == "1"
    assert found["steps"] == [0, 1], "the probe, then each epoch"
    metrics = json.loads(project.read("reports/metrics.json"))
    assert found["metrics"]["test_accuracy"] == pytest.approx(metrics["accuracy"])
    assert found["version_run"] == found["run"]
    assert {name.split()[0] for name, _ in found["data"]} == {"train", "val", "test"}
    assert all(digest for _, digest in found["data"])
    assert "image" in found["signature"]["inputs"]
    assert found["artifacts"]


def test_with_nothing_changed_nothing_runs(project: Project) -> None:
    printed = project.call("dvc", "repro")
    assert RAN.findall(printed) == []
    assert "Data and pipelines are up to date." in printed


def test_dvc_shows_metrics_plots_and_settings(project: Project) -> None:
    metrics = json.loads(project.call("dvc", "metrics", "show", "--json"))
    assert 0 <= metrics[""]["data"]["reports/metrics.json"]["data"]["accuracy"] <= 1
    project.call("dvc", "plots", "show")
    page = project.read("dvc_plots/index.html")
    for name in ("Accuracy by epoch", "What is taken for what", "Reliability"):
        assert name in page
    (project.folder / "params.yaml").write_text(
        project.read("params.yaml").replace("epochs: 1", "epochs: 0")
    )
    assert "train.finetune.epochs" in project.call("dvc", "params", "diff")
    project.call("git", "checkout", "--quiet", "params.yaml")


def test_an_experiment_reruns_from_train_on_and_is_listed(project: Project) -> None:
    printed = project.call("dvc", "exp", "run", "--name", "probe", "-S", "train.finetune.epochs=0")
    assert tuple(RAN.findall(printed)) == ("train", "evaluate", "promote")
    listed = project.call("dvc", "exp", "show", "--csv", "--no-pager")
    assert "probe" in listed
    assert "accuracy" in listed.splitlines()[0]
    assert "train.finetune.epochs" in listed.splitlines()[0]


def test_one_changed_image_reruns_what_depends_on_it(project: Project) -> None:
    """It goes on from the experiment, whose training is short."""
    assert RAN.findall(project.call("dvc", "repro")) == []
    photo = project.folder / "data" / "photos" / "digit-0" / "000.png"
    with Image.open(photo) as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    turned.save(photo)
    printed = project.call("dvc", "repro")
    assert tuple(RAN.findall(printed)) == STAGES[1:]
    assert photo.is_file()
    kept = re.search(r"(\d+) (?:of \d+ )?shards? (?:written|taken over)", printed)
    assert kept, "preprocess says which shards it wrote and which stood"


def test_of_two_at_once_one_says_who_is_at_work_and_a_killed_one_stops_nobody(
    project: Project,
) -> None:
    before = compute_sha256(project.folder / "models/model.keras")
    first = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=project.folder,
        env=create_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        lock = project.folder / ".dvc/tmp/rwlock"
        while not (lock.exists() and f'"pid": {first.pid}' in lock.read_text()):
            assert first.poll() is None, "it ended before the other came"
            time.sleep(0.1)
        with pytest.raises(AssertionError, match=rf"being blocked by:\n +\(PID {first.pid}\)"):
            project.call("dvc", "repro")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    project.call("dvc", "repro")
    assert "up to date" in project.call("dvc", "status")
    assert compute_sha256(project.folder / "models/model.keras") == before


def test_predictions_come_from_the_registry(project: Project) -> None:
    answers = project.call(
        "python", "-m", "components.predict", "--model", "models:/darkroom@champion",
        "data/photos/digit-1/000.png",
    )  # fmt: skip
    assert "digit-1/000.png" in answers
    assert "label" in answers


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("make help", "the main job"),
        ("python -m components.promote history", "champion"),
        ("python -m components.promote.summary reports/verdict.json --json", '"verdict"'),
        ("python -m components.train --list-backbones", "EfficientNetLite0"),
        ("python -m components.init completion", "_darkroom"),
        ("python -m components.train --help", "--shards"),
        ("dvc status", "up to date"),
        ("dvc metrics show", "accuracy"),
    ],
)
def test_a_quick_command_of_the_pages_runs(project: Project, command: str, words: str) -> None:
    pages = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    assert command in pages
    assert words in project.call(*shlex.split(command))

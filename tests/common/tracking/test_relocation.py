"""A project that is renamed, moved or copied keeps its registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.tracking.relocation import find_left, follow_folder
from components.common.tracking.server import import_mlflow
from components.predict.source import open_model


@pytest.fixture
def project(mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database, a run with a file, and a version with a model file."""
    folder = tmp_path / "my project"
    folder.mkdir()
    shutil.copy(mlflow_database, folder / "mlflow.db")
    enter(folder, monkeypatch)
    mlflow = import_mlflow()
    mlflow.set_experiment("darkroom")
    with mlflow.start_run():
        mlflow.log_text("a report", "report.txt")
        info = mlflow.active_run().info
        client = mlflow.MlflowClient()
        logged = client.create_logged_model(info.experiment_id, "model", source_run_id=info.run_id)
        (folder / "model.keras").write_text("weights")
        (folder / "package" / "artifacts").mkdir(parents=True)
        shutil.move(folder / "model.keras", folder / "package" / "artifacts" / "model.keras")
        client.log_model_artifacts(logged.model_id, str(folder / "package"))
        client.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model("darkroom")
    client.create_model_version(
        "darkroom", f"models:/{logged.model_id}", info.run_id, model_id=logged.model_id
    )
    return folder


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")


def read_all() -> tuple[str, str, Path]:
    """Return what the run and the version hold, and where a new run keeps its files."""
    mlflow = import_mlflow(create=False)
    mlflow.set_experiment("darkroom")
    run = mlflow.search_runs(output_format="list")[0]
    text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/report.txt")
    with open_model("models:/darkroom/1") as source:
        model = source.file.read_text()
    with mlflow.start_run() as new:
        place = Path(new.info.artifact_uri.removeprefix("file://"))
    mlflow.delete_run(new.info.run_id)
    return text, model, place


@pytest.mark.parametrize("how", ["renamed", "moved", "copied"])
def test_registry_follows_its_folder(
    how: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = {"renamed": tmp_path / "été 100%", "moved": tmp_path / "a" / "b"}.get(
        how, tmp_path / "copy"
    )
    target.parent.mkdir(exist_ok=True)
    if how == "copied":
        shutil.copytree(project, target)
        next(project.rglob("model.keras")).write_text("other weights")
    else:
        project.rename(target)
    enter(target, monkeypatch)
    text, model, place = read_all()
    assert (text, model) == ("a report", "weights")
    assert target in place.parents
    said = capsys.readouterr().out
    assert f"this project was in {project} before" in said
    read_all()
    assert "before" not in capsys.readouterr().out


def test_files_that_are_gone_are_said_to_be(project: Path, tmp_path: Path) -> None:
    """The database is where it was, so nothing was moved; the files are not."""
    shutil.rmtree(project / "mlruns" / "1" / "models")
    with (
        pytest.raises(DarkroomError, match=r"files are not where they were stored, .*mlruns/1/mod"),
        open_model("models:/darkroom/1"),
    ):
        pass


def test_what_is_elsewhere_on_purpose_stays(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    (other / "mlruns" / "1").mkdir(parents=True)
    home.mkdir()
    assert find_left(home, "mlflow.db", [other / "mlruns" / "1"]) == []
    (home / "mlruns" / "1").mkdir(parents=True)
    assert find_left(home, "mlflow.db", [other / "mlruns" / "1"]) == []
    link = tmp_path / "link"
    link.symlink_to(home)
    assert find_left(home, "mlflow.db", [link / "mlruns" / "1", Path("/bucket/1"), Path()]) == []


def test_damaged_database_is_left_to_mlflow(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    follow_folder(tmp_path / "mlflow.db")

"""A project that is renamed, moved or copied keeps its registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.tracking.databases import name_database
from components.common.tracking.relocation import find_left, follow_folder
from components.common.tracking.server import import_mlflow
from components.predict.source import open_model
from tests.processes import run_python


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
    monkeypatch.setenv("MLFLOW_TRACKING_URI", name_database(folder / "mlflow.db"))


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


# Each in a process of its own, as a command is: MLflow keeps what it has opened.
ENTER = """
import os, sys
sys.path[0] = os.getcwd()
os.chdir(sys.argv[1])
from components.common.tracking.server import import_mlflow
mlflow = import_mlflow()
"""
READ = f"""{ENTER}
from components.predict.source import open_model
run = mlflow.search_runs(experiment_names=["darkroom"], output_format="list")[0]
assert mlflow.artifacts.load_text(f"{{run.info.artifact_uri}}/report.txt") == "a report"
with open_model("models:/darkroom/1") as source:
    assert source.file.read_text() == "weights"
"""
WRITE = f"""{ENTER}
mlflow.set_experiment("another")  # made here, not brought
with mlflow.start_run() as run:
    mlflow.log_text("new", "new.txt")
assert mlflow.artifacts.load_text(f"{{run.info.artifact_uri}}/new.txt") == "new"
"""
STRAY = """
import os, sys
os.chdir(sys.argv[1])
import mlflow  # as earlier versions did
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("darkroom")
with mlflow.start_run():
    mlflow.log_text("a report", "report.txt")
"""


@pytest.mark.parametrize(
    "name",
    [
        "50%41off",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("feature%2Flogin", "%25", "a%3Fb%23c")
        ),
    ],
)
def test_a_folder_whose_name_reads_like_an_address_keeps_its_own_files(
    name: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    there = project.rename(tmp_path / name)
    run_python(READ, there)
    run_python(WRITE, there)
    assert next(there.rglob("new.txt")).read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == [name]
    back = there.rename(tmp_path / "plain")
    run_python(READ, back)
    assert [one.name for one in tmp_path.iterdir()] == ["plain"]


def test_files_that_went_into_a_folder_of_a_similar_name_are_found(
    mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "50%41off"
    folder.mkdir()
    shutil.copy(mlflow_database, folder / "mlflow.db")
    run_python(STRAY, folder)
    strayed = tmp_path / "50Aoff" / "mlruns"
    assert list(strayed.rglob("report.txt"))
    with pytest.raises(DarkroomError, match=f"move {strayed} to {folder / 'mlruns'}, and run"):
        follow_folder(folder / "mlflow.db")
    shutil.move(strayed, folder / "mlruns")
    run_python(READ.partition("with open_model")[0], folder)


def test_an_address_with_escapes_leads_where_it_says(
    mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "été%41"
    folder.mkdir()
    shutil.copy(mlflow_database, folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder.as_uri()[7:]}/mlflow.db")
    run_python(WRITE, folder)
    assert [one.name for one in tmp_path.iterdir()] == ["été%41"]


def test_a_path_written_as_an_address_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "feature%2Flogin"
    folder.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    with pytest.raises(DarkroomError, match="stands for '/', and there is no") as caught:
        import_mlflow()
    assert str(caught.value).endswith("feature%252Flogin/mlflow.db")
    assert [one.name for one in tmp_path.rglob("*")] == ["feature%2Flogin"]

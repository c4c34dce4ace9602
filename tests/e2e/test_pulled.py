"""A mate's clone: git and `dvc pull` bring a finished run, and no registry."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import FirstRun
from tests.e2e.project import PHOTOS, Project, call

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def mate(first_run: FirstRun, tmp_path: Path) -> Project:
    """Return a clone with what DVC has of the first run, and nothing of MLflow's."""
    origin = first_run.project.folder
    call(tmp_path, "git", "clone", "--quiet", str(origin), "mate")
    project = Project(tmp_path / "mate")
    shutil.copy(first_run.lock, project.folder / "dvc.lock")
    # A cache lies as a remote does, so the mate's remote is the cache of the first person.
    project.call("dvc", "remote", "add", "--default", "first", str(origin / ".dvc" / "cache"))
    project.call("dvc", "pull", "--quiet")
    return project


def test_one_line_registers_a_pulled_model_as_it_was_judged(
    mate: Project, first_run: FirstRun
) -> None:
    assert not list(mate.folder.glob("mlflow.db*")) + list(mate.folder.glob("mlruns"))
    assert (mate.folder / PHOTOS / "digit-0" / "000.png").is_file()
    recorded = json.loads((first_run.reports / "verdict.json").read_text())
    model = hashlib.sha256((mate.folder / "models" / "model.keras").read_bytes()).hexdigest()

    printed = mate.call("dvc", "repro", "--force", "--single-item", "promote")

    assert "Running stage 'promote'" in printed
    assert "Running stage 'train'" not in printed
    found = json.loads(mate.read("reports/verdict.json"))
    for key in ("verdict", "words", "model", "aliases", "figures"):
        assert found[key] == recorded[key], key
    assert found["lineage"]["model_digest"] == recorded["lineage"]["model_digest"] == model
    told = mate.call("python", "-m", "components.promote", "history")
    assert "version 1 @challenger @champion" in told
    assert f"darkroom.model_digest {model}"[9:] in " ".join(told.split())

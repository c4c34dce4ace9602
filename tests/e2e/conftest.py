"""One first `dvc repro`, for all that start from it: a whole run takes half a minute.

Its network is cut, so it also shows that no room asks it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.project import Project, call, make_project
from tests.faults.project import SITE


@dataclass(frozen=True)
class FirstRun:
    """A project after its first `dvc repro`, what that printed, and a copy of what it wrote."""

    project: Project  # of tests/e2e/test_dvc.py, which goes on with it
    printed: str
    data: Path
    reports: Path
    lock: Path  # dvc.lock of that run
    params: Path  # params.yaml of it
    asked: Path  # what it asked of the network; there is no such file where that is nothing


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> FirstRun:
    root = shared_folder / "first-run"
    project, said, asked = Project(root / "clone"), root / "printed.txt", root / "asked.txt"
    with FileLock(shared_folder / "first-run.lock"):
        if not said.exists():
            shutil.rmtree(root, ignore_errors=True)
            make_project(project.folder)
            cut = {"PYTHONPATH": str(SITE), "DARKROOM_OFFLINE": str(asked)}
            printed = call(project.folder, "dvc", "repro", **cut)
            for name in ("data", "reports"):
                shutil.copytree(project.folder / name, root / name)
            for name in ("dvc.lock", "params.yaml"):
                shutil.copy(project.folder / name, root / name)
            said.write_text(printed)
    return FirstRun(
        project=project,
        printed=said.read_text(),
        data=root / "data",
        reports=root / "reports",
        lock=root / "dvc.lock",
        params=root / "params.yaml",
        asked=asked,
    )

"""One first `dvc repro`, for all that start from it: a whole run takes half a minute."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.project import Project, make_project


@dataclass(frozen=True)
class FirstRun:
    """A project after its first `dvc repro`, what that printed, and a copy of what it wrote."""

    project: Project  # of tests/e2e/test_dvc.py, which goes on with it
    printed: str
    data: Path
    reports: Path
    lock: Path  # dvc.lock of that run


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> FirstRun:
    root = shared_folder / "first-run"
    project, said = Project(root / "clone"), root / "printed.txt"
    with FileLock(shared_folder / "first-run.lock"):
        if not said.exists():
            shutil.rmtree(root, ignore_errors=True)
            printed = make_project(project.folder).call("dvc", "repro")
            for name in ("data", "reports"):
                shutil.copytree(project.folder / name, root / name)
            shutil.copy(project.folder / "dvc.lock", root / "dvc.lock")
            said.write_text(printed)
    lock = root / "dvc.lock"
    return FirstRun(project, said.read_text(), root / "data", root / "reports", lock)

"""Running on this machine: what becomes of a failure, and of a cached run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    params = ["--params", str(ROOT / "params.yaml")]
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "--root", "runs", *params, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_failed_task_fails_the_run(mlflow_store: Path) -> None:
    done = run(mlflow_store, "--set", "ingest.source=nowhere.tar")
    assert done.returncode == 1
    assert "error: ingest.source: no file nowhere.tar" in done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith("error: task fetch failed; ")


@pytest.mark.parametrize("words", [("--docker", "--set", "kubeflow.image=no/such:image")])
def test_docker_without_the_image_says_what_to_do(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 1
    assert "run `make image` first" in done.stderr or "no docker here" in done.stderr

"""Each target of `make image` installs its own lock and no other, and shares all the rest."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.engine import ROOT, find_image

pytestmark = pytest.mark.docker
NAME = "darkroom-test:target"
# Stands for slim.sh: it runs where the lock was installed, and takes the lock along into the image.
KEEP_LOCK = 'cp app.lock "$1"/\n'


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """The recipe as it is, with locks that hold nothing but their names instead of gigabytes."""
    find_image()  # skips without an engine, and has built what does not depend on the packages
    for name in ("Dockerfile", "Makefile", ".dockerignore", "pyproject.toml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("requirements", "components", "pipelines"):
        (tmp_path / folder).mkdir()
    for lock in (ROOT / "requirements").glob("*.lock"):
        (tmp_path / "requirements" / lock.name).write_text(f"# {lock.name}\n")
    shutil.copy(ROOT / "requirements/tools.lock", tmp_path / "requirements")  # they list the rest
    (tmp_path / "requirements/slim.sh").write_text(KEEP_LOCK)
    yield tmp_path
    subprocess.run(["docker", "rmi", "--force", NAME], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("command", "lock"),
    [
        (f"make image IMAGE={NAME}", "image.lock"),
        (f"make image IMAGE={NAME} TARGET=cpu", "image.lock"),
        (f"make image IMAGE={NAME} TARGET=gpu", "gpu.lock"),
        (f"make image IMAGE={NAME} TARGET=jax", "jax.lock"),
        (f"docker build --tag {NAME} .", "image.lock"),
    ],
)
def test_a_target_installs_its_own_lock(project: Path, command: str, lock: str) -> None:
    done = subprocess.run(
        shlex.split(command), cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    show = ["docker", "run", "--rm", NAME, "cat", "/opt/darkroom/app.lock"]
    found = subprocess.run(show, capture_output=True, text=True, check=True)
    assert found.stdout == f"# {lock}\n"


def test_another_target_is_refused_before_anything_is_built() -> None:
    # The tests may have been started by make, whose settings a make inside of it would take over.
    known = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "image", "TARGET=tpu"],
        cwd=ROOT,
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'TARGET is cpu, gpu or jax, not "tpu"' in done.stderr
    assert done.stdout == ""

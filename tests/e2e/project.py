"""A clone of this repository with a person's own photos: what `dvc repro` is tried on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from tests.conftest import load_digits

ROOT = Path(__file__).parents[2]
CLASSES, PER_CLASS, SIZE_PX = 4, 26, 32
PHOTOS = "data/photos"


# What a person's shell says of none of this. Kernels of BLAS chosen by hand would give other last
# digits than those that a container chooses for the same processor.
UNSET = ("MLFLOW_", "DVC_", "KFP_", "OPENBLAS_", "OMP_")


def create_environment() -> dict[str, str]:
    """Return what a person's shell has once the environment of these tests is activated."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(UNSET)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{known['PATH']}"
    return known | {"PATH": path, "DVC_NO_ANALYTICS": "1"}


def call(folder: Path, *words: str, **variables: str) -> str:
    """Run a program in `folder` as in the activated environment; return what it printed."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=create_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Project:
    """A project of one person."""

    folder: Path

    def call(self, *words: str) -> str:
        return call(self.folder, *words)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


def write_photos(folder: Path) -> None:
    """Write digits of `CLASSES` classes, `PER_CLASS` of each."""
    pixels, labels = load_digits()
    for label in range(CLASSES):
        (folder / f"digit-{label}").mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(labels == label)[:PER_CLASS]):
            image = Image.fromarray(pixels[index]).resize(
                (SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC
            )
            image.save(folder / f"digit-{label}" / f"{number:03d}.png")


def clone(folder: Path) -> None:
    """Copy what git tracks here, and what it would track, into a repository of its own."""
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)  # of the default run, not of these photos


def hurry(folder: Path) -> None:
    """Train briefly, and ask few images; all else stays as `init` has written it."""
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["preprocess"] |= {"size_px": 64, "shard_mb": 1}
    params["train"]["finetune"]["epochs"] = 1
    params["evaluate"] |= {"resamples": 100, "robustness_images": 4, "latency_runs": 3}
    rules = params["promote"]["rules"]  # a busy machine answers when it can
    params["promote"] |= {"rules": [one for one in rules if "served" not in one["metric"]]}
    params["promote"]["served_images"] = 4
    yaml.dump(params, folder / "params.yaml")


def make_project(folder: Path) -> Project:
    """Clone this repository into `folder`, and do with photos there what a newcomer does."""
    clone(folder)
    write_photos(folder / PHOTOS)
    project = Project(folder)
    said = project.call("python", "-m", "components.init", PHOTOS, "--name", "darkroom")
    assert "    make run\n" in said
    hurry(folder)
    project.call("git", "init", "--quiet")
    project.call("git", "config", "user.email", "founder@example.com")
    project.call("git", "config", "user.name", "Founder")
    project.call("dvc", "add", PHOTOS)
    project.call("git", "add", "--all")
    project.call("git", "commit", "--quiet", "--message", "photos")
    return project

"""Darkroom itself for benchmarks/peers.py: validate, preprocess, train and predict as they are.

Evaluation and promotion are left out: the others have nothing like them.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks._peers_flags import Task, run_way  # noqa: E402


def train(task: Task) -> Iterable[str]:
    """Run the rooms on the photos as they lie, with the project's own settings."""
    from components.train.search.settings import change_params

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        params = here / "params.yaml"
        params.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        change_params(params, {"train.seed": task.seed})
        photos, shards, model = task.photos.absolute(), here / "shards", here / "model.keras"
        manifest, validation = here / "manifest.parquet", here / "validation.json"
        call(here, "validate", images=photos, manifest=manifest, validation=validation,
             quarantine=here / "quarantine.csv", data_docs=here / "data_docs")  # fmt: skip
        call(here, "preprocess", images=photos, manifest=manifest,
             splits=here / "splits.parquet", shards=shards)  # fmt: skip
        call(here, "train", shards=shards, model=model, history=here / "history.csv",
             findings=here / "training", run=here / "run.json")  # fmt: skip
        answers = here / "answers.csv"
        words = [photos / "test", "--model", model, "--output", answers]
        run(here, "predict", *words)
        with answers.open(newline="", encoding="utf-8") as stream:
            found = {Path(row["path"]).absolute(): row["label"] for row in csv.DictReader(stream)}
    return [found[image.absolute()] for image in task.list_images("test")]


def call(here: Path, room: str, **paths: Path) -> None:
    """Run a stage."""
    words: list[str | Path] = ["--params", here / "params.yaml"]
    for name, path in paths.items():
        words += [f"--{name.replace('_', '-')}", path]
    run(here, room, *words)


def run(here: Path, room: str, *words: str | Path) -> None:
    """Run a room in a process of its own."""
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", f"components.{room}", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{here / 'mlflow.db'}"},
        check=True,
    )


if __name__ == "__main__":
    run_way({"darkroom": train})

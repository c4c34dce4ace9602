"""What both walks from a network to a champion have: photos, settings, the stages, a killed run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from tests.conftest import load_digits

ROOT = Path(__file__).parents[2]
CLASSES, SIZE_PX = 3, 32


def list_words(room: str) -> list[str]:
    """Return a room's flags as dvc.yaml has them."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return shlex.split(stages[room]["cmd"])[3:]


def write_photos(folder: Path, per_class: int) -> None:
    """Write digits in class folders."""
    pixels, labels = load_digits()
    for label in range(CLASSES):
        (folder / f"digit-{label}").mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(labels == label)[:per_class]):
            image = Image.fromarray(pixels[index]).resize((SIZE_PX, SIZE_PX))
            image.save(folder / f"digit-{label}" / f"{number:03d}.png")


def write_settings(folder: Path, **sections: dict[str, Any]) -> None:
    """Write params.yaml: the project's, in a hurry, with the changes of some sections.

    Settings of fine-tuning and augmentation are sections of their own, `finetune` and `augment`.
    """
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["source"] = "data/photos"
    params["evaluate"] |= {"resamples": 100, "robustness_images": 4, "latency_runs": 3}
    params["promote"] |= {"rules": [{"metric": "accuracy", "at_least": 0.3}]}
    for name in ("finetune", "augment"):
        params["train"][name] |= sections.pop(name, {})
    for name, changes in sections.items():
        params[name] |= changes
    yaml.dump(params, folder / "params.yaml")


def check_explained(metrics: dict[str, Any], report: Path) -> None:
    """Check that answers are explained, by maps that no shuffle of weights leaves."""
    sanity = metrics["gradcam_sanity"]
    assert sanity["images"] > 0
    assert sanity["passed"] is not False
    assert 'class="heat"' in report.read_text()


def check_promoted(verdict: dict[str, Any]) -> None:
    """Check that a first champion was made, which answers over HTTP as was measured."""
    assert verdict["verdict"] == "promoted"
    assert set(verdict["aliases"]) == {"challenger", "champion"}
    assert verdict["served"]["problem"] == ""
    assert verdict["served"]["difference"] <= 1e-4


def train_and_kill(folder: Path) -> int:
    """Kill a training as soon as fine-tuning stands in its checkpoint; return its exit status."""
    words = [sys.executable, "-m", "components.train", *list_words("train")]
    process = subprocess.Popen(
        words, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 300
    while not (folder / "models/model.checkpoint/finetune.npz").exists():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < end, "it does not get to fine-tuning"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()

"""Networks on the whole way: probe, fine-tuning, killed and gone on with, judged, champion, served.

make bench BENCH=walk ARGS=--hub                                   # a tiny one of each family
make bench BENCH=walk ARGS="--hub --only swin"
make bench BENCH=walk ARGS="--folder checkpoints"                  # what networks.py wrote there

Tiny random networks of KerasHub, as benchmarks/networks.py makes them, or checkpoints that it kept
in a folder. Each gets some digits, and walks through the rooms in a project of its own; training is
killed as soon as fine-tuning stands in its checkpoint, and started again. A line a network says how
it went: what it saw of digits is little, as nothing in it was ever trained for more than seconds.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags, existing  # noqa: E402
from tests.e2e.walk import (  # noqa: E402
    CLASSES,
    check_promoted,
    list_words,
    train_and_kill,
    write_photos,
    write_settings,
)

PER_CLASS, SIZE_PX, EPOCHS = 40, 64, 3
FINETUNE = {"epochs": EPOCHS, "batch_size": 8, "learning_rate": 0.0005}


def main() -> None:
    """Print one line a network; exit with 1 if one does not arrive."""
    parser = Flags(__file__, __doc__, "--hub")
    parser.add_argument("--hub", action="store_true", help="networks of KerasHub, made here")
    parser.add_argument("--folder", type=existing, help="with checkpoints")
    parser.add_argument("--only", default="", help="part of the names of those to walk with")
    flags = parser.parse_args()
    if not (flags.hub or flags.folder):
        parser.error("needs --hub, or a folder of checkpoints")
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        made = Path(temporary) / "networks"
        made.mkdir()
        if flags.hub:
            import components.common.backend  # before TensorFlow greets  # noqa: F401
            from benchmarks._networks_hub import write_presets

            write_presets(made, flags.only)
        places = [made, *([flags.folder.resolve()] if flags.folder else [])]
        found = [one for place in places for one in sorted(place.iterdir()) if one.is_dir()]
        wanted = [one for one in found if flags.only in one.name]
        lost = [one.name for one in wanted if not walk(one, Path(temporary) / one.name)]
    if lost or not wanted:
        raise SystemExit(f"{len(wanted) - len(lost)} of {len(wanted)} arrived")


def walk(network: Path, project: Path) -> bool:
    """Walk with a network through a project; print how it went, return whether it arrived."""
    began = time.monotonic()
    write_photos(project / "data/photos", PER_CLASS)
    shutil.copytree(network, project / "net")
    write_settings(
        project,
        train={"backbone": "net", "recipe": "fixed"},
        preprocess={"size_px": SIZE_PX},
        finetune=FINETUNE,
        promote={"rules": [{"metric": "accuracy", "at_least": 0.05}]},
    )
    told = io.StringIO()
    try:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
            patch.chdir(project)
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
            words = run_rooms(project, told)
    except (AssertionError, OSError, SystemExit, ValueError) as error:
        print(f"{network.name:<24}{error!r}\n{told.getvalue()[-2000:]}", flush=True)
        return False
    finally:
        shutil.rmtree(project)
    print(f"{network.name:<24}{words}, {time.monotonic() - began:.0f} s", flush=True)
    return True


def run_rooms(project: Path, told: io.StringIO) -> str:
    """Run all rooms; return what is to be said, AssertionError where something did not come."""
    from components.common.artifacts.model import HUB, read_card
    from components.common.cli import run_room

    for room in ("validate", "preprocess"):
        run_room(room, list_words(room))
    assert train_and_kill(project) == -signal.SIGKILL
    for room in ("train", "evaluate", "promote"):
        run_room(room, list_words(room))
    assert "going on where an earlier run was stopped: fine-tuning" in told.getvalue()
    with (project / "reports/history.csv").open() as stream:
        phases = [row["phase"] for row in csv.DictReader(stream)]
    assert phases == ["probe"] + ["fine-tune"] * EPOCHS
    metrics = json.loads((project / "reports/metrics.json").read_text())
    explained = describe_maps(metrics, project / "reports/report.html")
    verdict = json.loads((project / "reports/verdict.json").read_text())
    check_promoted(verdict)
    photos = sorted((project / "data/photos").glob("*/00*.png"))
    answers = io.StringIO()
    with contextlib.redirect_stdout(answers):
        run_room("predict", [*map(str, photos), "--model", "models:/darkroom@champion"])
    assert len(list(csv.DictReader(io.StringIO(answers.getvalue())))) == 10 * CLASSES
    needs = read_card(project / "models/model.keras").versions.get(HUB)
    return (
        f"accuracy {metrics['accuracy']:.2f}, maps {explained}, champion, answers over HTTP to "
        f"{verdict['served']['difference']:.0e}, {'needs KerasHub' if needs else 'plain Keras'}"
    )


def describe_maps(metrics: dict[str, Any], report: Path) -> str:
    """Return whether answers are explained, and whether maps depend on what was learnt."""
    sanity = metrics["gradcam_sanity"]
    assert sanity["images"] > 0
    shown = 'class="heat"' in report.read_text()
    assert shown == (sanity["passed"] is not False)  # a map that any weights give is not shown
    return "shown" if shown else "not shown, since they hardly depend on the weights"


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()

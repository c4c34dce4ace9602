"""How many planted label errors the page of suspects shows first, and what mending them brings.

python benchmarks/labels.py --photos clothing-photos.tar [--rounds 2] [--planted 60] [--keep FOLDER]
python benchmarks/labels.py --page

1. `--photos`, an archive of class folders: in each round `--planted` photos are put into the folder
   of another class, drawn by chance from all splits. The rooms run as `dvc repro` runs them, with
   the probe alone (train.finetune.epochs: 0), on the photos as they were, with the planted errors,
   and once more with the corrections.csv of a person who knows every label and looks at the first
   `--shown` photos of the page in Chromium, by keyboard. Accuracies are of the test photos under
   their true labels, and, as the report has it, under those that the folders give.
2. `--page`: megabytes of the page of 2,000 photographs, and how long Chromium takes to open it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from components.common.terminal import exit_on_error  # noqa: E402
from components.evaluate.checks.suspects import DOUBTED, Suspect  # noqa: E402
from components.evaluate.report.pictures import encode_picture  # noqa: E402
from components.evaluate.report.review import SMALL, Review, render_review  # noqa: E402
from tests.browser import Tab, wait  # noqa: E402

DONE = "done"  # marks a folder whose rooms have run, so that --keep goes on
SUFFIXES = (".jpg", ".jpeg", ".png")
FLAGS = {
    "validate": {
        "images": "data.source",
        "manifest": "manifest.parquet",
        "validation": "validation.json",
        "quarantine": "quarantine.csv",
        "data-docs": "docs",
    },
    "preprocess": {
        "images": "data.source",
        "manifest": "manifest.parquet",
        "splits": "splits.parquet",
        "shards": "shards",
    },
    "train": {
        "shards": "shards",
        "model": "model.keras",
        "history": "history.csv",
        "findings": "training",
        "run": "run.json",
    },
    "evaluate": {
        "model": "model.keras",
        "shards": "shards",
        "manifest": "manifest.parquet",
        "splits": "splits.parquet",
        "history": "history.csv",
        "findings": "training",
        "validation": "validation.json",
        "run": "run.json",
        "predictions": "predictions.parquet",
        "metrics": "metrics.json",
        "latency": "latency.json",
        "plots": "plots",
        "report": "report.html",
        "labels": "labels.html",
        "model-card": "card.md",
    },
}


@dataclass(frozen=True)
class Accuracy:
    """Of one run, on the test photos."""

    true: float  # under the labels that the archive gives
    reported: float  # under those that the run was given


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photos", type=Path, help="archive of photos in class folders")
    parser.add_argument("--rounds", type=int, default=2, help="draws of the errors (2)")
    parser.add_argument("--planted", type=int, default=60, help="wrong labels (60)")
    parser.add_argument("--shown", type=int, default=80, help="photos that are looked at (80)")
    parser.add_argument("--page", action="store_true", help="weigh and open a page of 2,000")
    parser.add_argument("--keep", type=Path, help="work in this folder, go on there, leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.page:
            measure_page(folder)
        if options.photos:
            measure_mending(folder, options.photos, options.rounds, options.planted, options.shown)


def measure_mending(folder: Path, archive: Path, rounds: int, planted: int, shown: int) -> None:
    """Print a line for each round, and the means."""
    photos = folder / "photos"
    if not photos.is_dir():
        with tarfile.open(archive) as tar:
            tar.extractall(photos, filter="data")
    truth = read_labels(photos)
    clean = run_rooms(folder / "clean", photos, truth)
    print(
        f"{len(truth):,} photos; as they are: {clean.true:.3f} of the test photos right", flush=True
    )
    print("round  found  planted: true reported   mended: true reported   brought back")
    back = []
    for number in range(rounds):
        spoilt = folder / f"spoilt-{number}"
        shutil.rmtree(spoilt, ignore_errors=True)
        shutil.copytree(photos, spoilt)
        wrong = plant(spoilt, planted, np.random.default_rng(number))
        work = folder / f"run-{number}"
        before = run_rooms(work, spoilt, truth)
        file, found = mend(work, truth, wrong, shown)
        mended = folder / f"mended-{number}"
        if not mended.is_dir():  # splits and metrics.json of before are what a person has too
            left = shutil.ignore_patterns(DONE, "profile", "saved")
            shutil.copytree(work, mended, ignore=left)
        after = run_rooms(mended, spoilt, truth, file)
        lost = clean.reported - before.reported
        back.append((after.reported - before.reported) / lost if lost else float("nan"))
        print(
            f"{number:5}{found:7}{before.true:15.3f}{before.reported:9.3f}{after.true:15.3f}"
            f"{after.reported:9.3f}{back[-1]:15.0%}",
            flush=True,
        )
    print(f"of what the reported accuracy lost, {np.mean(back):.0%} came back on the average")


def list_photos(folder: Path) -> list[Path]:
    """Return the photos, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def read_labels(folder: Path) -> dict[str, str]:
    """Return sha256 → the name of its class folder."""
    return {digest(file): file.parent.name for file in list_photos(folder)}


def digest(file: Path) -> str:
    """Return the sha256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def plant(folder: Path, count: int, dice: np.random.Generator) -> set[str]:
    """Put photos into the folder of another class of their split; return their digests."""
    files = list_photos(folder)
    names = sorted({file.parent.name for file in files})
    wrong = set()
    for index in dice.choice(len(files), count, replace=False):
        file = files[index]
        other = str(dice.choice([name for name in names if name != file.parent.name]))
        wrong.add(digest(file))
        shutil.move(file, file.parents[1] / other / file.name)
    return wrong


def run_rooms(
    work: Path, photos: Path, truth: dict[str, str], corrections: Path | None = None
) -> Accuracy:
    """Run the rooms from validate to evaluate in a folder; return the accuracy."""
    import pandas as pd
    from ruamel.yaml import YAML

    work.mkdir(parents=True, exist_ok=True)
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["data"]["source"] = str(photos)
    if corrections is not None:
        params["data"]["corrections"] = str(corrections)
    params["train"]["finetune"]["epochs"] = 0
    params["evaluate"] |= {"robustness_images": 0, "latency_runs": 1, "resamples": 100}
    yaml.dump(params, work / "params.yaml")
    for room, flags in {}.items() if (work / DONE).exists() else FLAGS.items():
        words = [word for flag, path in flags.items() for word in (f"--{flag}", path)]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", f"components.{room}", *words],
            cwd=work,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{room}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    (work / DONE).touch()
    table = pd.read_parquet(work / "predictions.parquet")
    right = table["predicted"] == table["sha256"].map(truth)
    reported = json.loads((work / "metrics.json").read_text())["accuracy"]
    return Accuracy(float(right.mean()), float(reported))


def mend(work: Path, truth: dict[str, str], wrong: set[str], shown: int) -> tuple[Path, int]:
    """Look at the first photos of the page by keyboard; return the saved file, and what was found.

    Args:
        work: folder with labels.html.
        truth: sha256 → label.
        wrong: digests of the planted errors.
        shown: photos that are looked at.
    """
    saved = work / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    shutil.rmtree(work / "profile", ignore_errors=True)
    with open_page(work / "labels.html", work) as tab:
        tab.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
        found = 0
        for _ in range(min(shown, int(tab.ask("items.length")))):
            one, labels, keys = json.loads(
                tab.ask("JSON.stringify([items[at].digest, labelsOf(items[at]), data.keys])")
            )
            found += one in wrong
            true = truth[one]
            if labels == [true]:
                tab.press("Enter")
            elif true in keys:
                tab.press(str(keys.index(true) + 1))
            else:
                tab.press("c", *true, "Enter")
        tab.press("s")
        file = saved / "corrections.csv"
        wait(lambda: file.stat().st_size)
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream):  # what the keys said is what a person meant
            ends = row["new_label"] or row["label"]
            assert ends == truth[row["sha256"]], row
    return file, found


class open_page:  # noqa: N801 - used as a statement
    """A page in Chromium that has begun to take keys."""

    def __init__(self, page: Path, folder: Path) -> None:
        """Remember what to open."""
        self.page, self.folder = page, folder

    def __enter__(self) -> Tab:
        """Open it."""
        self.tab = Tab(self.page.resolve().as_uri(), self.folder)
        ready = "document.getElementById('counts')?.textContent"
        wait(lambda: _ensure(lambda: bool(self.tab.ask(ready))))
        self.tab.ask("addEventListener('keydown', () => { document.body.dataset.awake = 1; })")

        def wake() -> bool:
            self.tab.press("Shift")
            return bool(self.tab.ask("document.body.dataset.awake"))

        wait(lambda: _ensure(wake))
        return self.tab

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.tab.close()


def _ensure(holds: Callable[[], bool]) -> None:
    if not holds():
        raise LookupError


def measure_page(folder: Path) -> None:
    """Print megabytes of a page of 2,000 photographs, and the seconds to open it, five times."""
    from PIL import Image

    dice, suspects, pictures = np.random.default_rng(0), [], {}
    for number in range(2000):
        # Coarse and fine detail: a JPEG of it is as large as that of a photograph.
        grain = [
            Image.fromarray(dice.integers(0, 256, (n, n, 3), np.uint8)).resize((224, 224))
            for n in (6, 28)
        ]
        one = f"{number:064x}"
        pixels = np.asarray(Image.blend(*grain, 0.2))
        pictures[one] = encode_picture(pixels, *SMALL)
        files = [(f"train/class {number % 10}/{one[:36]}.jpg", f"class {number % 10}")]
        suspects.append(Suspect(one, DOUBTED, files, "train", "class 3", 0.01, 0.9, 0.99))
    names = [f"class {number}" for number in range(10)]
    text = render_review(Review(suspects, {}, [], pictures, names, "benchmark"))
    page = folder / "labels.html"
    page.write_text(text)
    opened = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    times = []
    for number in range(5):
        with open_page(page, folder / f"browser-{number}") as tab:
            time.sleep(1)
            times.append((float(tab.ask(opened)) / 1000, float(tab.ask(painted)) / 1000))
    words = ", ".join(f"{load:.2f} ({paint:.2f})" for load, paint in times)
    print(f"2,000 photos: {len(text) / 1e6:.1f} MB, opened (painted) after seconds: {words}")


if __name__ == "__main__":
    with exit_on_error():
        main()

"""What the defaults of training reach on several sets: accuracy on fresh images, spread, minutes.

python benchmarks/recipe.py                                        # digits: nothing to download
python benchmarks/recipe.py --clothing clothing-photos.tar --signs sign-digits.tar
python benchmarks/recipe.py --sets digits-few --grid               # … against settings by hand
python benchmarks/recipe.py --sets digits-few --set train.recipe=fixed
python benchmarks/recipe.py --sets digits-few --trials --seeds 1   # would short trials choose well?

Each run is `python -m components.train` as `dvc repro` starts it, with the project's params.yaml,
on shards of the images that the set names; the rest is for testing. Beside the accuracy stand the
log loss and the calibration error (ECE) of fresh images, and the minutes of the whole stage; --log
keeps what the runs said, among it how long they thought they would take.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._flags import Flags, existing  # noqa: E402
from benchmarks.recipe_sets import SETS, write_shards  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402

GRID = [  # what a patient person would try by hand
    {"train.finetune.epochs": epochs, "train.finetune.learning_rate": rate}
    for epochs in (8, 20, 40)
    for rate in (1e-4, 5e-4)
]
# What short trials might choose among: weaker and stronger changes, rate, batch.
CHANGES = ("rotation_degrees", "shear_degrees", "zoom", "shift", "crop", "colour", "erase")
WEAK, STRONG = (4, 2, 0.15, 0.05, 0.15, 0.15, 0.1), (12, 8, 0.45, 0.15, 0.45, 0.5, 0.4)
TRIALS: list[dict[str, object]] = [
    {f"train.augment.{name}": value for name, value in zip(CHANGES, way, strict=True)}
    for way in (WEAK, STRONG)
]
TRIALS += [{"train.finetune.learning_rate": rate} for rate in (2.5e-4, 1e-3)]
TRIALS += [{"train.finetune.batch_size": size} for size in (8, 32)]


@dataclass(frozen=True)
class Outcome:
    """One run, judged by images that it has not seen."""

    accuracy: float
    log_loss: float
    ece: float
    probe: float  # accuracy of the probe
    seconds: float  # of the whole stage
    said: float  # fine-tuning's time over what it was said to take; nan without it
    kept: str  # which epoch
    val_losses: list[float]  # of the fine-tuned epochs


def main() -> None:
    """Run and print the table."""
    parser = Flags(__file__, __doc__, "--sets digits --seeds 1")
    parser.add_argument("--sets", nargs="+", choices=SETS, help="default: all that can be had")
    parser.add_argument("--clothing", type=existing, help="archive of clothing photos with splits")
    parser.add_argument("--signs", type=existing, help="archive of hand signs in class folders")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--grid", action="store_true", help="also a grid of settings by hand")
    parser.add_argument("--trials", action="store_true", help="would short trials choose well?")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings")
    parser.add_argument("--log", type=Path, help="file that gets what the runs print")
    flags = parser.parse_args()
    parser.need_archives(flags, {name: SETS[name].source for name in flags.sets or ()})
    archives = {"clothing": flags.clothing, "signs": flags.signs, "digits": Path()}
    print(
        f"{'set':<14}{'settings':<34}{'accuracy':>18}{'probe':>8}{'loss':>8}{'ECE':>8}{'min':>7}{'/said':>7}"
    )
    with tempfile.TemporaryDirectory() as work:
        for name in flags.sets or SETS:
            source = archives[SETS[name].source]
            if source is None:
                continue
            own = dict(one.split("=", 1) for one in flags.set)
            rivals = [own, *GRID * flags.grid, *TRIALS * flags.trials]
            firsts = []
            for settings in rivals:
                found = []
                for seed in range(flags.first_seed, flags.first_seed + flags.seeds):
                    shards = Path(work) / f"{name}-{seed}"
                    if not shards.exists():
                        write_shards(shards, SETS[name], source, seed)
                    found.append(run(shards, settings | {"train.seed": str(seed)}, flags.log))
                show(name, settings, found)
                firsts.append(found[0])
            if flags.trials:
                show_trials(name, firsts)


def show(name: str, settings: dict[str, object], found: list[Outcome]) -> None:
    """Print one line: means over seeds, and the spread of the accuracy."""

    def mean(values: list[float]) -> float:
        return statistics.fmean(values)

    accuracies = [one.accuracy for one in found]
    spread = statistics.stdev(accuracies) if len(found) > 1 else 0.0
    words = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in settings.items())
    words = words if len(words) < 34 else words[:32] + "…"
    print(
        f"{name:<14}{words or 'defaults':<34}{mean(accuracies):>9.3f} ± {spread:<6.3f}"
        f"{mean([one.probe for one in found]):>8.3f}{mean([one.log_loss for one in found]):>8.3f}"
        f"{mean([one.ece for one in found]):>8.3f}{mean([one.seconds for one in found]) / 60:>7.1f}"
        f"{mean([one.said for one in found]):>7.2f}"
        f"  kept {', '.join(one.kept for one in found)}",
        flush=True,
    )


def run(shards: Path, settings: dict[str, object], log: Path | None) -> Outcome:
    """Train in a process of its own and judge the model on the test split."""
    from components.common.artifacts.model import load_model
    from components.common.artifacts.predictions import read_predictions
    from components.common.shards.examples import read_split

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        start = time.perf_counter()
        printed = train_room(shards, settings, here, log)
        seconds = time.perf_counter() - start
        with (here / "history.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        kept = next(row for row in rows if row["is_best"] == "1")
        test = read_split(shards, "test")
        answers = load_model(here / "model.keras").predict(test.pixels, 64, verbose=0)
        own = answers[np.arange(len(test.labels)), test.labels]
        right = answers.argmax(axis=1) == test.labels
        probe = read_predictions(here / "training" / "probe.parquet")
        mark = f" ({float(kept['blend']):.0%})" if kept["blend"] else ""
        return Outcome(
            accuracy=float(right.mean()),
            log_loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
            ece=compute_ece(answers.max(axis=1), right),
            probe=float((probe.logits.argmax(axis=1) == probe.labels).mean()),
            seconds=seconds,
            said=compare_times(rows, printed),
            kept=f"{kept['phase']} {kept['epoch']}{mark}",
            val_losses=[float(row["val_loss"]) for row in list_tuned(rows)],
        )


def train_room(
    shards: Path, settings: dict[str, object], here: Path, log: Path | None = None
) -> str:
    """Train in a process of its own; return what it printed.

    Args:
        shards: of the set.
        settings: dotted key → value, other than params.yaml has them.
        here: folder that gets model.keras, history.csv and training/.
        log: file that gets what is printed as well.
    """
    from components.train.search.settings import change_params

    shutil.copy(ROOT / "params.yaml", here)
    changes = {key: _read(value) for key, value in settings.items()}
    change_params(here / "params.yaml", changes)
    words = ["--model", here / "model.keras", "--history", here / "history.csv"]
    words += ["--findings", here / "training", "--run", here / "run.json"]
    command = [sys.executable, "-m", "components.train", "--shards", shards, *words]
    command += ["--params", here / "params.yaml"]
    done = subprocess.run(  # noqa: S603
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{here / 'mlflow.db'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if log is not None:
        with log.open("a") as stream:
            stream.write(f"\n### {shards.name} {settings}\n{done.stdout}{done.stderr[-2000:]}")
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def compute_ece(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Return the mean distance of confidence and accuracy over bins of equal width."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for one in np.unique(place):
        own = place == one
        total += own.mean() * abs(confidence[own].mean() - right[own].mean())
    return float(total)


def compare_times(rows: list[dict[str, str]], printed: str) -> float:
    """Return the seconds of the epochs over those that the preflight said."""
    found = re.search(r"epochs of about (?:(\d+) min )?([\d.]+) s", printed)
    epochs = list_tuned(rows)
    if found is None or not epochs:
        return float("nan")
    said = 60 * int(found[1] or 0) + float(found[2])
    return sum(float(row["seconds"]) for row in epochs) / (said * len(epochs))


def list_tuned(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of history.csv of epochs that were trained."""
    return [row for row in rows if row["phase"] != "probe" and not row["blend"]]


def show_trials(name: str, found: list[Outcome]) -> None:
    """Print how the order of settings after a part of the steps agrees with that on fresh images.

    1: short trials would choose what is best; 0: they know nothing of it; -1: what is worst.
    """
    from scipy.stats import spearmanr

    count = min(len(one.val_losses) for one in found)
    if count < 4:
        print(f"{name:<14}fine-tuning ended early: nothing to compare")
        return
    test = [one.log_loss for one in found]
    print(f"{name:<14}rank correlation of the validation loss with the test loss:", end="")
    for part in (4, 2, 1):
        val = [one.val_losses[count // part - 1] for one in found]
        print(f" after 1/{part} of the steps {spearmanr(val, test)[0]:.2f}", end="")
    print(flush=True)


def _read(value: object) -> object:
    """Return a setting as YAML would read it."""
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(value) if isinstance(value, str) else value


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

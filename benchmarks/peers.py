"""What accuracy in how many minutes, against what a person would use instead, with equal weights.

make bench BENCH=peers                                   # digits: Darkroom, Keras, scikit-learn
make bench BENCH=peers ARGS=--install                    # … and PyTorch and fastai, once installed
make bench BENCH=peers ARGS="--install --ways darkroom autogluon"
make bench BENCH=peers ARGS="--sets digits clothing --clothing clothing-photos.tar --seeds 3"

Each rival is a process of its own that reads the same files, train/, val/ and test/, at the same
size, starts from the same ImageNet weights of EfficientNet-Lite0 and names the test images; its
minutes are those of that process, from its start to its last answer. They take turns, so that what
else the machine does hits all of them; minutes of CPU stand beside for where it does much. Darkroom
is validate, preprocess, train and predict with the project's own params.yaml. What the others do is
said at the head of their functions, in _peers_keras.py and _peers_torch.py.

--install makes benchmarks/.peers, an environment of its own (some 1.5 GB), from peers.txt;
AutoGluon is 1 GB more, and is installed and run where --ways names it. --results keeps each run;
what is in it is not run again, so a long comparison can be gone on with; --picture draws what is
there.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._flags import Flags, existing  # noqa: E402
from benchmarks.recipe_sets import SETS, write_folders  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402

OWN = "darkroom"
SCRIPTS = {
    OWN: "_peers_darkroom.py",
    "features": "_peers_keras.py",
    "keras": "_peers_keras.py",
    "pytorch": "_peers_torch.py",
    "fastai": "_peers_torch.py",
    "autogluon": "_peers_torch.py",
}
NAMES = {
    OWN: "Darkroom",
    "features": "scikit-learn on features",
    "keras": "Keras's tutorial",
    "pytorch": "plain PyTorch loop",
    "fastai": "fastai, fine_tune",
    "autogluon": "AutoGluon, equal time",
}
PEERS = ROOT / "benchmarks/.peers"
AUTOGLUON = "autogluon.multimodal>=1.6,<2"
MIRRORED = ("clothing", "signs")  # sources whose photos may be mirrored; the others are told


@dataclass(frozen=True)
class Photos:
    """The files of a set, as one seed draws its splits."""

    set: str
    seed: int
    folder: Path
    size_px: int


@dataclass(frozen=True)
class Run:
    """One training of one rival."""

    set: str
    way: str
    seed: int
    accuracy: float
    minutes: float
    cpu_minutes: float
    right: str  # a 1 or 0 for each test image, in the order of their names


def main() -> None:
    """Compare as the flags say, print the table, draw the picture."""
    flags = parse_flags()
    if flags.install:
        install([AUTOGLUON] if "autogluon" in flags.ways else [])
    ways = [way for way in SCRIPTS if way in flags.ways or way == OWN]
    runs = read_runs(flags.results) if flags.results else []
    archives = {"digits": Path(), "clothing": flags.clothing, "signs": flags.signs}
    for name in flags.sets:
        archive = archives[SETS[name].source]
        for seed in range(flags.seeds):
            with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
                size_px = write_folders(Path(folder), SETS[name], archive, seed)
                photos = Photos(name, seed, Path(folder), size_px)
                for way in ways:
                    if any((one.set, one.way, one.seed) == (name, way, seed) for one in runs):
                        continue
                    own = [r for r in runs if (r.set, r.way, r.seed) == (name, OWN, seed)]
                    minutes = own[0].minutes if own else 0.0
                    run = train(way, photos, minutes)
                    runs.append(run)
                    print(f"{name}, seed {seed}: {NAMES[way]} {run.accuracy:.3f} in "
                          f"{run.minutes:.1f} min", flush=True)  # fmt: skip
                    if flags.results:
                        write_runs(flags.results, runs)
    chosen = [one for one in runs if one.set in flags.sets and one.way in ways]
    for line in describe(chosen):
        print(line)
    if flags.picture:
        from benchmarks._peers_picture import draw

        draw(chosen, NAMES, flags.picture)


def parse_flags() -> Namespace:
    """Return the flags; what is missing is said in a line."""
    parser = Flags(__file__, __doc__, "--sets digits --seeds 1")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["digits"])
    parser.add_argument("--ways", nargs="+", choices=SCRIPTS, help="default: all that can be had")
    parser.add_argument("--clothing", type=existing, help="archive of clothing photos with splits")
    parser.add_argument("--signs", type=existing, help="archive of hand signs in class folders")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, with other splits")
    parser.add_argument("--install", action="store_true", help="make the environment of the peers")
    parser.add_argument("--results", type=Path, help="CSV file that keeps each run")
    parser.add_argument("--picture", type=Path, help="SVG or PNG file for the picture")
    flags = parser.parse_args()
    parser.need_archives(flags, {name: SETS[name].source for name in flags.sets})
    missing = [way for way in SCRIPTS if not flags.install and not can_run(way)]
    flags.ways = flags.ways or [way for way in SCRIPTS if way not in missing and way != "autogluon"]
    for way in set(flags.ways) & set(missing):
        parser.error(f"{way} needs benchmarks/.peers; --install makes it")
    return flags


def can_run(way: str) -> bool:
    """Whether what a rival runs on is installed."""
    if way == "autogluon":
        return any(PEERS.glob("lib/python*/site-packages/autogluon/multimodal"))
    return SCRIPTS[way] != "_peers_torch.py" or (PEERS / "bin/python").exists()


def install(more: list[str]) -> None:
    """Make the environment of the peers, or bring it up to date, with what else is wanted."""
    uv = Path(sys.executable).with_name("uv")
    if not (PEERS / "bin/python").exists():
        subprocess.run([uv, "venv", "--quiet", PEERS], check=True)  # noqa: S603
    wanted = ROOT / "benchmarks/peers.txt"
    command = [uv, "pip", "install", "--quiet", "--python", PEERS / "bin/python", "-r", wanted]
    command += more
    subprocess.run(command, check=True)  # noqa: S603


def train(way: str, photos: Photos, minutes: float) -> Run:
    """Let one rival train and answer; what it prints goes to stderr."""
    python = PEERS / "bin/python" if SCRIPTS[way] == "_peers_torch.py" else Path(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "answers.csv")
        words = [way, "--photos", photos.folder, "--size-px", photos.size_px]
        words += ["--seed", photos.seed, "--minutes", minutes, "--answers", answers]
        words += ["--flip"] * (SETS[photos.set].source in MIRRORED)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(  # noqa: S603
            [str(word) for word in [python, ROOT / "benchmarks" / SCRIPTS[way], *words]],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=sys.stderr,
            check=True,
        )
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        with answers.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    right = [row["label"] == Path(row["path"]).parent.name for row in rows]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    marks = "".join("01"[one] for one in right)
    accuracy = float(np.mean(right))
    return Run(photos.set, way, photos.seed, accuracy, seconds / 60, cpu / 60, marks)


def describe(runs: list[Run]) -> Iterable[str]:
    """Yield the lines of the table: each rival beside Darkroom, on the same images."""
    from components.common.statistics.paired import compare

    yield ""
    yield f"{'':<28}{'accuracy':<16}{'min':>7}{'CPU':>7}{'× min':>8}{'× CPU':>7}   Darkroom's lead"
    for name in dict.fromkeys(run.set for run in runs):
        own = {run.seed: run for run in runs if (run.set, run.way) == (name, OWN)}
        images = len(next(iter(own.values())).right)
        yield f"{name}, {images:,} test images, {len(own)} seed{'s'[: len(own) - 1]}"
        for way in SCRIPTS:
            theirs = [run for run in runs if (run.set, run.way) == (name, way)]
            if not theirs:
                continue
            pairs = [(own[run.seed], run) for run in theirs]
            accuracies = [run.accuracy for run in theirs]
            spread = f" ± {np.std(accuracies, ddof=1):.3f}" if len(theirs) > 1 else ""
            times = [run.minutes / mine.minutes for mine, run in pairs]
            cpus = [run.cpu_minutes / mine.cpu_minutes for mine, run in pairs]
            line = f"  {NAMES[way]:<26}{np.mean(accuracies):>8.3f}{spread:<8}"
            line += f"{np.mean([run.minutes for run in theirs]):>7.1f}"
            line += f"{np.mean([run.cpu_minutes for run in theirs]):>7.1f}"
            line += f"{np.mean(times):>8.2f}{np.mean(cpus):>7.2f}"
            if way != OWN:
                mine, other = (
                    np.array([mark == "1" for run in some for mark in run.right])
                    for some in ([pair[0] for pair in pairs], theirs)
                )
                found = compare(mine, other)
                ends = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
                line += f"   {100 * found.difference:+.1f} ({ends})"
            yield line


def read_runs(file: Path) -> list[Run]:
    """Return the runs that were kept; none where the file is not there yet."""
    if not file.is_file():
        return []
    kinds = {"seed": int, "accuracy": float, "minutes": float, "cpu_minutes": float}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [Run(**{key: kinds.get(key, str)(value) for key, value in row.items()}) for row in rows]


def write_runs(file: Path, runs: list[Run]) -> None:
    """Keep all runs."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(Run)])
        table.writeheader()
        table.writerows(asdict(run) for run in runs)


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

"""Faults of a cluster, made on purpose in containers: what comes out equals an undisturbed run.

python benchmarks/faults.py                 # all of them; needs Docker, `make image`, and root
python benchmarks/faults.py --only killed   # one: well, two, killed, full

Each runs the pipeline by KFP's local runner, every task a container of the image, on 100 digits
with the probe alone and a folder of this machine as the shared volume:

well     nothing in its way
two      two runs at once on one volume
killed   the container of train is killed, and the pipeline run again
full     the volume is full while shards are written; then it is enlarged, and the run begun again
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.e2e.project import write_photos  # noqa: E402

IMAGE = os.environ.get("DARKROOM_IMAGE", "darkroom:latest")
SMALL, LARGE = "size=640k", "size=64m"


def write_archive(folder: Path) -> list[str]:
    """Write photos.tar, 100 digits of 4 classes; return the settings that bring and hurry them."""
    write_photos(folder / "photos")
    archive = folder / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "photos", arcname="photos")
    return [
        f"ingest.source={archive}",
        f"ingest.sha256={hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "preprocess.size_px=64",
        "preprocess.shard_mb=1",
        "train.finetune.epochs=0",
        "evaluate.resamples=100",
    ]


class Bench:
    """A folder with the volume of some runs, and the settings that all have."""

    def __init__(self, name: str) -> None:
        """Make the folder, and 100 digits in it."""
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix=f"faults-{name}-"))
        self.volume = self.root / "volume"
        self.volume.mkdir()
        # Two runs at once would both make the database of MLflow; a team's server is there already.
        code = "from components.common.tracking.server import import_mlflow; import_mlflow()"
        where = {"MLFLOW_TRACKING_URI": f"sqlite:///{self.root / 'mlflow.db'}"}
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], check=True, cwd=ROOT, env=os.environ | where
        )
        self.changes = [
            *write_archive(self.root),
            f"kubeflow.image={IMAGE}",
            "kubeflow.volume.claim=photos",
            f"kubeflow.volume.mount={self.volume}",
        ]

    def start(self, run: str, *words: str) -> subprocess.Popen[str]:
        """Begin a run of the pipeline; what it prints is in `run`.log."""
        command = [sys.executable, "-m", "pipelines", "run", "--docker", *words]
        command += ["--root", str(self.root), "--params", str(ROOT / "params.yaml")]
        command += [word for change in self.changes for word in ("--set", change)]
        log = (self.root / f"{run}.log").open("w", encoding="utf-8")
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, cwd=ROOT)  # noqa: S603

    def read_end(self, run: str) -> str:
        """Return the last line that a task, or the pipeline, ended with."""
        lines = (self.root / f"{run}.log").read_text(encoding="utf-8").splitlines()
        errors = [line.strip() for line in lines if line.strip().startswith("error: ")]
        return (errors or lines)[0 if errors else -1]

    def compute_digests(self) -> set[str]:
        """Return one digest for each run that ended well: of its shards, splits and metrics."""
        found = set()
        for run in self.root.glob("darkroom-*"):
            metrics = run / "evaluate" / "evaluation" / "metrics.json"
            # What came from the cache lies with the run that wrote it.
            pointers = sorted(self.root.glob("darkroom-*/collect-shards/shards/folder-on-the-*"))
            own = [one for one in pointers if one.is_relative_to(run)]
            if metrics.is_file():
                pointer = (own or pointers)[0]
                total = hashlib.sha256(metrics.read_bytes())
                for file in sorted(Path(pointer.read_text()).rglob("*")):
                    total.update(file.read_bytes() if file.is_file() else b"")
                found.add(total.hexdigest()[:16])
        return found


def run_well(bench: Bench) -> None:
    """Run the pipeline with nothing in its way."""
    check(bench.start("well").wait() == 0, bench, "well")


def run_two(bench: Bench) -> None:
    """Run it twice at once on one volume."""
    first, second = bench.start("first"), bench.start("second")
    check(first.wait() == 0, bench, "first")
    check(second.wait() == 0, bench, "second")
    print(f"  folders of shards: {len(list((bench.volume / 'shards').iterdir()))}")


def run_killed(bench: Bench) -> None:
    """Kill the container of train, then run again and take what is done from the cache."""
    process = bench.start("killed", "--cache")
    while process.poll() is None and not (container := find_container("def train(")):
        time.sleep(0.5)
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)  # noqa: S603, S607
    check(process.wait() != 0, bench, "killed")
    print(f"  killed: {bench.read_end('killed')}")
    check(bench.start("again", "--cache").wait() == 0, bench, "again")


def run_full(bench: Bench) -> None:
    """Let the volume be too small, then enlarge it and run again."""
    mount = ["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(bench.volume)]
    subprocess.run(mount, check=True)  # noqa: S603
    try:
        check(bench.start("full").wait() != 0, bench, "full")
        print(f"  full: {bench.read_end('full')}")
        enlarge = ["mount", "-o", f"remount,{LARGE}", str(bench.volume)]
        subprocess.run(enlarge, check=True)  # noqa: S603
        check(bench.start("again").wait() == 0, bench, "again")
        print(f"  digest: {', '.join(sorted(bench.compute_digests()))}")
    finally:
        subprocess.run(["umount", str(bench.volume)], check=True)  # noqa: S603, S607


def find_container(words: str) -> str:
    """Return the id of the container whose command holds some words; empty if there is none."""
    form = ["--no-trunc", "--format", "{{.ID}} {{.Command}}"]
    asked = subprocess.run(["docker", "ps", *form], capture_output=True, text=True, check=True)  # noqa: S603, S607
    lines = [line for line in asked.stdout.splitlines() if words in line]
    return lines[0].split()[0] if lines else ""


def check(well: bool, bench: Bench, run: str) -> None:
    """End the benchmark with a run's log if it did not go as it must."""
    if not well:
        print((bench.root / f"{run}.log").read_text(encoding="utf-8")[-3000:])
        sys.exit(f"{bench.name}: {run} did not end as it must")


FAULTS = {"well": run_well, "two": run_two, "killed": run_killed, "full": run_full}


def main() -> None:
    """Run what the flags ask for, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=list(FAULTS))
    flags = parser.parse_args()
    for name, run in FAULTS.items():
        if flags.only and name != flags.only:
            continue
        bench, began = Bench(name), time.perf_counter()
        print(f"{name}:", flush=True)
        run(bench)
        if name != "full":
            print(f"  digest: {', '.join(sorted(bench.compute_digests()))}")
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)
        shutil.rmtree(bench.root)


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()

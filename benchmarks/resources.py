"""What each room takes, for some photos, ten and a hundred times as many: memory, time, disk.

python benchmarks/resources.py                          # 1,000, 10,000 and 100,000 photos
python benchmarks/resources.py --images 200000 --epochs 0 --keep /tmp/bench

Photos are drawn, JPEGs of 48 px and all different, in a tar for ingest; the network is a tiny
transformer, so what grows is what comes with the photos. Memory is what the process and those that
it started have together, shared pages parted among them (PSS), looked at every 50 ms; time is what
they kept the cores busy, and by the clock; disk is what the project grew by, and by how much more
at its highest. Each room is a process of its own, as under `dvc repro`, and none may outlive it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.faults.project import ROOMS, read_stages  # noqa: E402
from tests.train.networks.tiny_vit import AUGREG, write_timm  # noqa: E402

CLASSES, SIDE_PX = 10, 48
EVERY_SECONDS, DISK_EVERY_SECONDS = 0.05, 20


@dataclass
class Taken:
    """What a room took."""

    memory_mb: float = 0  # at its highest
    files: int = 0  # open at once
    threads: int = 0
    busy_seconds: float = 0  # of all cores
    seconds: float = 0  # by the clock
    disk_mb: float = 0  # left behind
    highest_mb: float = 0  # of disk, meanwhile


def draw_photo(dice: np.random.Generator, label: int) -> bytes:
    """Return a JPEG: a random picture, no two alike, with a bar at the height of its class."""
    coarse = dice.integers(0, 200, (12, 12, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
    pixels[4 * label : 4 * label + 4] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def make_project(folder: Path, images: int, epochs: int) -> None:
    """Write an archive of photos, and settings that bring them in and train on them."""
    folder.mkdir(parents=True)
    dice = np.random.default_rng(0)
    with tarfile.open(folder / "photos.tar", "w") as tar:
        for number in range(images):
            data = draw_photo(dice, number % CLASSES)
            info = tarfile.TarInfo(f"class-{number % CLASSES}/{number:07d}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    write_timm(folder / "vit", AUGREG)
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    digest = hashlib.sha256((folder / "photos.tar").read_bytes()).hexdigest()
    params["ingest"] |= {"source": "photos.tar", "sha256": digest}
    params["data"]["corrections"] = ""
    params["preprocess"]["size_px"] = SIDE_PX
    params["train"] |= {"backbone": "vit", "recipe": "fixed"}
    params["train"]["finetune"]["epochs"] = epochs
    params["promote"]["rules"] = [{"metric": "accuracy", "at_least": 0.05}]
    yaml.dump(params, folder / "params.yaml")


def run_room(folder: Path, room: str) -> Taken:
    """Run a room; return what it took; SystemExit if it failed, or left a process behind."""
    name, *words = read_stages()[room].words
    words = ["data/images" if word == "photos" else word for word in words]
    words = ["params.yaml" if word == "bundled.yaml" else word for word in words]
    taken, before_mb = Taken(), measure_disk_mb(folder)
    began = looked = time.monotonic()
    known: set[psutil.Process] = set()
    with (folder / f"{room}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", f"components.{name}", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            known |= look(process.pid, taken)
            if time.monotonic() > looked + DISK_EVERY_SECONDS:
                taken.highest_mb = max(taken.highest_mb, measure_disk_mb(folder) - before_mb)
                looked = time.monotonic()
            time.sleep(EVERY_SECONDS)
    process.returncode, used = os.waitstatus_to_exitcode(ended[1]), ended[2]
    if process.returncode:
        raise SystemExit(f"{room}: {(folder / f'{room}.log').read_text()[-2000:]}")
    if left := [one for one in known if one.is_running()]:
        raise SystemExit(f"{room} has ended, and still run: {left}")
    taken.seconds = time.monotonic() - began
    taken.busy_seconds = used.ru_utime + used.ru_stime
    taken.disk_mb = measure_disk_mb(folder) - before_mb
    taken.highest_mb = max(taken.highest_mb, taken.disk_mb)
    return taken


def look(pid: int, taken: Taken) -> set[psutil.Process]:
    """Note what a process and its children have now; return them."""
    memory, files, threads, found = 0, 0, 0, set()
    with suppress(psutil.Error):
        for one in (own := psutil.Process(pid), *own.children(recursive=True)):
            with suppress(psutil.Error):
                memory += one.memory_full_info().pss
                files, threads = files + one.num_fds(), threads + one.num_threads()
                found.add(one)
    taken.memory_mb = max(taken.memory_mb, memory / 1e6)
    taken.files, taken.threads = max(taken.files, files), max(taken.threads, threads)
    return found


def measure_disk_mb(folder: Path) -> float:
    """Return what the files of a folder take on their disk, MB."""
    words = ["du", "-sk", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    return int(done.stdout.split()[0]) * 1024 / 1e6


def describe(taken: Taken) -> str:
    """Return a cell of the table."""
    disk = f"{taken.disk_mb:,.0f} MB"
    if taken.highest_mb > 1.1 * taken.disk_mb + 1:
        disk += f" ({taken.highest_mb:,.0f} meanwhile)"
    return f"{taken.memory_mb:,.0f} MB, {taken.busy_seconds:,.0f} s, {disk}"


def main() -> None:
    """Run all rooms on each number of photos, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    parser.add_argument("--epochs", type=int, default=1, help="of fine-tuning")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the projects")
    flags = parser.parse_args()
    found: dict[tuple[str, int], Taken] = {}
    with tempfile.TemporaryDirectory() as made:
        for images in flags.images:
            folder = (flags.keep or Path(made)) / str(images)
            if not folder.exists():
                make_project(folder, images, flags.epochs)
            for room in flags.rooms:
                taken = found[room, images] = run_room(folder, room)
                more = f"{taken.files} files and {taken.threads} threads at once"
                print(
                    f"{images:,} photos, {room}: {describe(taken)}, "
                    f"{taken.seconds:,.0f} s by the clock, {more}",
                    flush=True,
                )
    print("\nMemory at its highest, time that the cores were busy, disk:\n")
    print(f"| room | {' | '.join(f'{n:,} photos' for n in flags.images)} |")
    print(f"|---{'|---' * len(flags.images)}|")
    for room in flags.rooms:
        print(f"| {room} | {' | '.join(describe(found[room, n]) for n in flags.images)} |")


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()

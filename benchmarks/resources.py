"""How much memory each room takes, for some photos, ten and a hundred times as many.

python benchmarks/resources.py                          # 1,000, 10,000 and 100,000 photos
python benchmarks/resources.py --images 500 5000 --keep /tmp/bench

Photos are drawn, 32 px and all different, in a tar for ingest; the network is a tiny transformer,
so what grows is what comes with the photos. Memory is what the process and those that it started
have together, shared pages parted among them (PSS), looked at every 50 ms; each room is a process
of its own, as under `dvc repro`.
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
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.faults.project import ROOMS, read_stages  # noqa: E402
from tests.train.networks.tiny_vit import AUGREG, write_timm  # noqa: E402

CLASSES, SIDE_PX = 10, 32
EVERY_SECONDS = 0.05
Peak = tuple[float, float]  # MB, seconds


def draw_photo(dice: np.random.Generator, label: int) -> bytes:
    """Return a PNG: a random smooth picture with a bar at the height of its class."""
    coarse = dice.integers(0, 200, (5, 5, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
    pixels[3 * label : 3 * label + 3] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def make_project(folder: Path, images: int) -> None:
    """Write an archive of photos, and settings that bring them in and train on them."""
    folder.mkdir(parents=True)
    dice = np.random.default_rng(0)
    with tarfile.open(folder / "photos.tar", "w") as tar:
        for number in range(images):
            data = draw_photo(dice, number % CLASSES)
            info = tarfile.TarInfo(f"class-{number % CLASSES}/{number:07d}.png")
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
    params["train"]["finetune"]["epochs"] = 1
    params["promote"]["rules"] = [{"metric": "accuracy", "at_least": 0.05}]
    yaml.dump(params, folder / "params.yaml")


def run_room(folder: Path, room: str) -> Peak:
    """Run a room; return the most memory that it had at a moment, and how long it took."""
    name, *words = read_stages()[room].words
    words = ["data/images" if word == "photos" else word for word in words]
    words = ["params.yaml" if word == "bundled.yaml" else word for word in words]
    began, peak_mb = time.monotonic(), 0.0
    with (folder / f"{room}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", f"components.{name}", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
        while process.poll() is None:
            peak_mb = max(peak_mb, measure_mb(process.pid))
            time.sleep(EVERY_SECONDS)
    if process.returncode:
        raise SystemExit(f"{room}: {(folder / f'{room}.log').read_text()[-2000:]}")
    return peak_mb, time.monotonic() - began


def measure_mb(pid: int) -> float:
    """Return what a process and its children have now, MB."""
    total = 0
    with suppress(psutil.Error):
        for one in (own := psutil.Process(pid), *own.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total / 1e6


def main() -> None:
    """Run all rooms on each number of photos, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the projects")
    flags = parser.parse_args()
    peaks: dict[tuple[str, int], Peak] = {}
    with tempfile.TemporaryDirectory() as made:
        for images in flags.images:
            folder = (flags.keep or Path(made)) / str(images)
            if not folder.exists():
                make_project(folder, images)
            for room in flags.rooms:
                peaks[room, images] = run_room(folder, room)
                mb, seconds = peaks[room, images]
                print(f"{images:,} photos, {room}: {mb:,.0f} MB, {seconds:.0f} s", flush=True)
    print(f"\n| room | {' | '.join(f'{n:,} photos' for n in flags.images)} |")
    print(f"|---{'|---' * len(flags.images)}|")
    for room in flags.rooms:
        cells = [f"{peaks[room, n][0]:,.0f} MB, {peaks[room, n][1]:.0f} s" for n in flags.images]
        print(f"| {room} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

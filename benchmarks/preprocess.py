"""How fast preprocess is, against bare loops and against Keras's own loader, in one run.

python benchmarks/preprocess.py --images FOLDER            # photos in class folders
python benchmarks/preprocess.py --files 50000              # generated JPEGs of 640 × 480 pixels
python benchmarks/preprocess.py --files 400 --width 4000   # as cameras make them
python benchmarks/preprocess.py --rows 1000000             # splitting alone

Each figure is a ratio of two measurements of this run, so it means the same on another machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from _photos import CORES, generate_photos  # noqa: E402

from benchmarks._flags import Flags, existing  # noqa: E402
from components.common.artifacts.manifest import COLUMNS, OK, SPLITS, write_manifest  # noqa: E402
from components.common.files.writing import compute_sha256  # noqa: E402
from components.common.images.pixels import SHRINKING, find_images  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402
from components.preprocess.run import run  # noqa: E402
from components.preprocess.spec import Inputs, Outputs, Params  # noqa: E402
from components.preprocess.splits.splits import assign_splits  # noqa: E402

SIZE_PX = 224
Cost = tuple[float, float]  # seconds by the clock and of CPU


def main() -> None:
    """Measure what the flags ask for."""
    parser = Flags(__file__, __doc__, "--rows 100000")
    parser.add_argument("--images", type=existing, help="folder of photos in class folders")
    parser.add_argument("--files", type=int, help="number of JPEGs to generate instead")
    parser.add_argument("--width", type=int, default=640, help="of the generated JPEGs, pixels")
    parser.add_argument("--rows", type=int, help="number of rows to generate and split")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--keras", type=existing, help=argparse.SUPPRESS)  # Keras's loader alone
    flags = parser.parse_args()
    if flags.keras:
        print(*measure(lambda: load_with_keras(flags.keras)))
        return
    if not (flags.rows or flags.images or flags.files):
        parser.error("needs --images, --files or --rows")
    if flags.rows:
        measure_splitting(flags.rows)
    if flags.images or flags.files:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            images = flags.images or folder / "images"
            if flags.files:
                generate_photos(images, flags.files, flags.width)
            measure_rate(images, folder, flags.repeats)


def measure_rate(images: Path, folder: Path, repeats: int) -> None:
    """Compare images a second: preprocess, bare loops over all cores, Keras's loader."""
    manifest = create_manifest(images)
    write_manifest(folder / "manifest.parquet", manifest)
    files = [images / path for path in manifest["path"]]
    links = link_in_classes(files, folder / "links")
    command = [sys.executable, "-m", "components.preprocess", "--params", "params.yaml"]
    command += ["--images", images.resolve(), "--manifest", folder / "manifest.parquet"]
    command += ["--splits", folder / "splits.parquet", "--shards", folder / "shards"]

    def preprocess() -> None:
        inputs = Inputs(images, folder / "manifest.parquet")
        outputs = Outputs(folder / "splits.parquet", folder / "shards")
        run(inputs, outputs, Params(size_px=SIZE_PX, resize="stretch"))

    def preprocess_process() -> None:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603

    def loop(work: Callable[[Path], int]) -> None:
        with Pool(CORES) as pool:
            sum(pool.imap_unordered(work, files, chunksize=32))

    inside: list[Cost] = []  # what Keras's loader costs without the start of its process

    def keras_process() -> None:
        # TensorFlow's threads would slow the forks of the others down: a process of its own.
        command = [sys.executable, __file__, "--keras", links]
        found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        seconds, cpu_seconds = found.stdout.split()[-2:]
        inside.append((float(seconds), float(cpu_seconds)))

    candidates = {
        "preprocess": preprocess,
        "bare loop": lambda: loop(decode),
        "tuned loop": lambda: loop(decode_tuned),
        "preprocess, whole process": preprocess_process,
        "Keras, whole process": keras_process,
    }
    costs: dict[str, list[Cost]] = {name: [] for name in candidates}
    for _ in range(repeats):  # in turns, so that a disturbance hits all of them
        for name, work in candidates.items():
            shutil.rmtree(folder / "shards", ignore_errors=True)  # else they are taken over
            costs[name].append(measure(work))
    costs["Keras"] = inside
    wall, cpu = (
        {name: min(cost[kind] for cost in found) for name, found in costs.items()}
        for kind in (0, 1)
    )
    print(f"\n{len(files):,} images to {SIZE_PX} px on {CORES} cores, best of {repeats}")
    for name, seconds in wall.items():
        rate = len(files) / seconds
        print(f"  {name:<26} {seconds:6.1f} s {rate:6.0f} images/s {cpu[name]:6.1f} s of CPU")
    print("rate of preprocess by that of …           wall    CPU")
    for name, own in (
        ("bare loop", "preprocess"),
        ("tuned loop", "preprocess"),
        ("Keras, whole process", "preprocess, whole process"),
        ("Keras", "preprocess"),
    ):
        print(f"  {name:<38} {wall[name] / wall[own]:5.2f}  {cpu[name] / cpu[own]:5.2f}")


def load_with_keras(folder: Path) -> None:
    """Read a folder once with image_dataset_from_directory, as its documentation does."""
    from components.common.backend import keras

    shape = (SIZE_PX, SIZE_PX)
    for _ in keras.utils.image_dataset_from_directory(folder, image_size=shape, verbose=False):
        pass


def decode(file: Path) -> int:
    """Decode and resize one file as a bare loop would, with Pillow's own defaults."""
    with Image.open(file) as image:
        return len(np.asarray(image.convert("RGB").resize((SIZE_PX, SIZE_PX))))


def decode_tuned(file: Path) -> int:
    """Do the same with all the short cuts that preprocess takes."""
    with Image.open(file) as image:
        image.draft(None, (SIZE_PX, SIZE_PX))
        return len(np.asarray(image.convert("RGB").resize((SIZE_PX, SIZE_PX), SHRINKING)))


def measure_splitting(count: int) -> None:
    """Split generated rows, and a tenth of them: time, memory, and how cost grows."""
    seconds = {
        rows: measure(lambda rows=rows: split_rows(rows))[0] for rows in (count // 10, count)
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB → GiB
    small, large = seconds.values()
    print(f"{count:,} rows split in {large:.1f} s, at most {peak:.2f} GiB in the whole process")
    print(
        f"a tenth of them in {small:.1f} s: ten times the rows, {large / small:.1f} times the time"
    )


def split_rows(count: int) -> None:
    """Split generated rows once."""
    splits = assign_splits(
        generate_rows(count), val_fraction=0.15, test_fraction=0.15, near_duplicate_bits=4
    )
    shares = splits["split"].value_counts(normalize=True)
    left_out = splits["split"].isna().mean()
    found = ", ".join(f"{name} {shares[name]:.1%}" for name in SPLITS)
    print(f"  {count:,} rows: {found}, left out {left_out:.1%}")


def generate_rows(count: int, seed: int = 0) -> pd.DataFrame:
    """Return rows of a manifest: one in ten a near-duplicate of another, one in ten of a group."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, count, np.uint64)
    copies = random.choice(count, count // 10, replace=False)
    flipped = np.uint64(1) << random.integers(0, 64, len(copies), np.uint64)
    hashes[copies] = hashes[random.integers(0, count, len(copies))] ^ flipped
    group = np.full(count, "", object)
    members = random.choice(count, count // 10, replace=False)
    group[members] = [
        f"series-{number}" for number in random.integers(0, count // 50, len(members))
    ]
    digests = random.bytes(32 * count).hex()
    return pd.DataFrame(
        {
            "path": [f"class-{i % 100}/{i:08d}.jpg" for i in range(count)],
            "label": [f"class-{i % 100}" for i in range(count)],
            "split": "",
            "sha256": [digests[64 * i : 64 * i + 64] for i in range(count)],
            "bytes": random.integers(10_000, 1_000_000, count),
            "width_px": random.integers(100, 5000, count),
            "height_px": random.integers(100, 5000, count),
            "phash": [f"{value:016x}" for value in hashes],
            "group": group,
        }
    )


def create_manifest(images: Path) -> pd.DataFrame:
    """Return a manifest without what preprocess does not need for this."""
    rows = []
    for file in find_images(images):
        with Image.open(file) as image:
            width, height = image.size
        path = file.relative_to(images)
        given = (
            {"validation": "val"}.get(path.parts[0], path.parts[0]) if len(path.parts) > 2 else ""
        )
        rows.append(
            {"path": path.as_posix(), "label": path.parts[-2], "split": given, "status": OK}
            | {"sha256": compute_sha256(file), "bytes": file.stat().st_size}
            | {"width_px": width, "height_px": height, "phash": "", "group": ""}
        )
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def link_in_classes(files: list[Path], links: Path) -> Path:
    """Return the files as class folders without splits, as links, for Keras's loader."""
    for number, file in enumerate(files):
        place = links / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}{file.suffix}").symlink_to(file.resolve())
    return links


def measure(work: Callable[[], object]) -> Cost:
    """Return the seconds that a piece of work takes, and those of CPU, its processes included.

    On a machine that does other things as well, CPU seconds are the steadier figure.
    """
    before = os.times()
    work()
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])  # user and system, own and of ended children
    return after.elapsed - before.elapsed, cpu


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

"""How fast validate is, held against a bare loop in the same run.

python benchmarks/validate.py --photos FOLDER   # your photos, and all that is generated

Four questions, each with what is wanted:

1. Photos a second, copies found as well, against a bare loop over all cores that reads, digests and
   fully decodes the same files with the same decoder (at least 0.8), on a folder of yours and on a
   generated one.
2. Ten times the files: at most eleven times the time.
3. A manifest of 1,000,000 rows through the suite: under 60 s and 4 GiB.
4. What may be copies, of 100,000 pictures and of a tenth of them: a part of the first, no limit.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402 - the project is found first
from _photos import generate_photos

from benchmarks._flags import Flags, existing
from components.common.artifacts.manifest import OK
from components.common.host import count_cores
from components.common.images.formats import FORMATS
from components.common.images.pixels import find_images
from components.common.terminal import exit_on_error
from components.validate.copies.candidates import find_candidates
from components.validate.copies.copies import find_pictures
from components.validate.copies.sketch import SIZE, VIEWS
from components.validate.copies.sketchbook import Sketchbook, Sketches
from components.validate.scan.scan import CHUNK, scan_files
from components.validate.spec import Params


def main() -> None:
    """Run what is asked for and print a table."""
    parser = Flags(__file__, __doc__, "--files 5000")
    parser.add_argument("--photos", type=existing, help="folder of photos to measure on as well")
    parser.add_argument("--files", type=int, default=50_000, help="generated files (50,000)")
    parser.add_argument("--width", type=int, default=640, help="of them, pixels (640 × 480)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the manifest")
    parser.add_argument(
        "--pictures", type=int, default=100_000, help="among which copies are sought"
    )
    parser.add_argument("--repeats", type=int, default=3, help="the best counts (3)")
    parser.add_argument("--suite-alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.suite_alone:
        measure_suite(args.rows)
        return
    print(f"{count_cores()} cores")
    if args.photos:
        compare_with_bare_loop(args.photos, find_images(args.photos), args.repeats)
    with tempfile.TemporaryDirectory() as place:
        files = generate_photos(Path(place), args.files, args.width, pictures=args.files)
        whole = compare_with_bare_loop(Path(place), files, args.repeats)
        tenth = compare_with_bare_loop(Path(place), files[::10], args.repeats)
    print(f"ten times the files: {whole / tenth:.1f} times the time (at most 11)")
    measure_candidates(args.pictures // 10)
    measure_candidates(args.pictures)
    # In a process of its own, so that the peak of memory is the suite's.
    command = [sys.executable, __file__, "--suite-alone", "--rows", str(args.rows)]
    subprocess.run(command, check=True)  # noqa: S603 - this file


def compare_with_bare_loop(folder: Path, files: Sequence[Path], repeats: int) -> float:
    """Print both rates and their ratio; return the seconds of validate."""
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    params = Params()

    def ours() -> None:
        book = Sketchbook(len(names))
        rows = scan_files(folder, names, params.min_side_px, params.max_megapixels, book=book)
        images = rows.assign(path=names)[rows["status"] == OK]
        find_pictures(folder, images, book)

    bare, scan = float("inf"), float("inf")
    for _ in range(repeats):  # in turn, and the best of each: other work on the machine falls out
        bare = min(bare, measure(partial(run_bare_loop, folder, names)))
        scan = min(scan, measure(ours))
    print(
        f"{len(names):>9,} files: bare loop {len(names) / bare:6,.0f} files/s, validate "
        f"{len(names) / scan:6,.0f} files/s, ratio {bare / scan:.2f} (at least 0.8)",
        flush=True,
    )
    return scan


def run_bare_loop(folder: Path, names: Sequence[str]) -> None:
    """Read, digest and decode files on all cores, and do nothing else."""
    with ProcessPoolExecutor(count_cores()) as pool:
        for _ in pool.map(_decode, [str(folder / name) for name in names], chunksize=CHUNK):
            pass


def _decode(file: str) -> str:
    data = Path(file).read_bytes()
    Image.open(io.BytesIO(data), formats=FORMATS).load()
    return hashlib.sha256(data).hexdigest()


def measure_candidates(count: int) -> None:
    """Print how long it takes to find out which of so many pictures may be copies."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(count, 1, 64)) + 0.5 * rng.normal(size=(count, VIEWS, 64))
    views = np.rint(127 * drawn / np.linalg.norm(drawn, axis=2, keepdims=True)).astype(np.int8)
    views = views.reshape(count, -1).view(np.uint8)
    rest = np.zeros((count, SIZE - views.shape[1]), np.uint8)
    rest[:, :16] = np.array([0, 0, 1, 1], np.float32).view(np.uint8)  # no border
    raw = np.concatenate([rest, views], axis=1)
    sketches = Sketches(raw, np.arange(count), np.full((count, 2), (640, 480)))
    seconds = measure(partial(find_candidates, sketches))
    print(
        f"{count:>9,} pictures, candidates: {seconds:.1f} s, {seconds / count * 1e3:.2f} ms each",
        flush=True,
    )


def measure_suite(count: int) -> None:
    """Print how long a large manifest takes from signs to the page, and the peak of memory."""
    import pandas as pd

    from components.validate.judgement.expectations import create_expectations
    from components.validate.judgement.findings import describe_results, find_oddities
    from components.validate.judgement.shortcuts import find_shortcuts
    from components.validate.judgement.signs import create_signs
    from components.validate.judgement.suite import run_suite

    rng = np.random.default_rng(0)
    number = np.arange(count)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    hashes[count // 2 : count // 2 + count // 20] = hashes[: count // 20]  # one in ten doubled
    rows = {
        "path": [f"class-{i % 100:02d}/{i:07d}.jpg" for i in number],
        "label": [f"class-{i % 100:02d}" for i in number],
        "split": "",
        "sha256": [f"{i:064x}" for i in number],
        "bytes": 50_000,
        "format": "JPEG",
        "width_px": rng.integers(300, 800, count),
        "height_px": rng.integers(300, 800, count),
        "mode": "RGB",
        "exif_orientation": 1,
        "phash": [f"{value:016x}" for value in hashes],
        "brightness": rng.normal(0.5, 0.1, count).clip(0, 1),
        "contrast": 0.2,
        "sharpness": rng.normal(600, 200, count).clip(0),
        "status": np.where(number % 20, "ok", "quarantined"),
        "reason": np.where(number % 20, "", "damaged: cut short"),
        "group": "",
        "luma_sha256": "",
        "picture": [f"{value:016x}" for value in hashes],
        "label_before": "",
        "thumbnail": "",
    }
    manifest, params = pd.DataFrame(rows), Params()
    watch = time.perf_counter()
    signs = create_signs(manifest, params)
    expectations = create_expectations(params)
    with tempfile.TemporaryDirectory() as site:
        results, _ = run_suite(signs, expectations, Path(site))
    usable = manifest[manifest["status"] == "ok"]
    describe_results(results, expectations, manifest, signs, params)
    find_oddities(usable, [], [], params)
    find_shortcuts(usable, params.max_class_shift)
    seconds = time.perf_counter() - watch
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(
        f"{count:>9,} rows through the suite: {seconds:.0f} s (under 60), peak {peak:.1f} GiB (4)"
    )


def measure(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

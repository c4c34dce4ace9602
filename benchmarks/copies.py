"""How many changed copies validate finds, and how many pictures it takes for copies that are none.

python benchmarks/copies.py --photos FOLDER   # of different photos; and generated parts

For each kind of copy: photos, and a changed copy of each, in one folder; found is a copy that is
the same picture as its original (wanted: at least 0.95). False alarms are images that are one
picture with another original (wanted: at most 0.5 %), among the photos alone as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402 - the project is found first
from benchmarks._flags import Flags, existing
from components.common.images.pixels import find_images
from components.common.terminal import exit_on_error
from components.validate.copies.copies import find_pictures
from components.validate.copies.sketchbook import Sketchbook
from components.validate.scan.scan import scan_files
from tests.validate.copies.kinds import KINDS
from tests.validate.copies.test_copies import draw_part


def main() -> None:
    """Print a table for the photos, and one for generated parts."""
    parser = Flags(__file__, __doc__, "--photos data/photos")
    parser.add_argument("--photos", type=existing, help="folder of photos, no two of one thing")
    parser.add_argument("--count", type=int, default=200, help="that are changed (200)")
    parser.add_argument("--parts", type=int, default=200, help="generated parts (200)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help="of copies (all)")
    args = parser.parse_args()
    kinds = args.kinds or list(KINDS)
    with tempfile.TemporaryDirectory() as place:
        if args.photos:
            files = find_images(args.photos)
            measure_false_alarms("photos", args.photos, files)
            chosen = np.random.default_rng(0).permutation(len(files))[: args.count]
            compare_kinds("photos", [files[i] for i in sorted(chosen)], kinds)
        folder = Path(place)
        for seed in range(args.parts):
            draw_part(seed).save(folder / f"{seed:05d}.png")
        files = find_images(folder)
        measure_false_alarms("parts", folder, files)
        compare_kinds("parts", files[: args.count], kinds)


def find(folder: Path, files: list[Path]) -> tuple[np.ndarray, float, float]:
    """Return the picture that each file shows, and the seconds of the scan and of the search."""
    names = [file.relative_to(folder).as_posix() for file in files]
    start = time.perf_counter()
    book = Sketchbook(len(names))
    found = scan_files(folder, names, 8, 120, book=book)
    rows = pd.concat([pd.Series(names, name="path"), found], axis=1)
    scanned = time.perf_counter()
    pictures = find_pictures(folder, rows, book)
    return pictures, scanned - start, time.perf_counter() - scanned


def measure_false_alarms(name: str, folder: Path, files: list[Path]) -> None:
    """Print how many of some different images are taken for copies."""
    pictures, scan, search = find(folder, files)
    joined = int((pd.Series(pictures).groupby(pictures).transform("size") > 1).sum())
    print(
        f"{len(files):,} {name}: {joined} taken for copies, {joined / len(files):.2%}; "
        f"reading {scan:.1f} s, copies {search:.1f} s",
        flush=True,
    )


def compare_kinds(name: str, files: list[Path], kinds: list[str]) -> None:
    """Print for each kind of copy the share that is found, and false alarms."""
    for kind in kinds:
        change = KINDS[kind]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for number, file in enumerate(files):
                photo = Image.open(file).convert("RGB")
                photo.save(folder / f"{number:05d}.png")
                change(photo).save(folder / f"{number:05d}-copy.png")
            pictures = find(folder, sorted(folder.iterdir()))[0]
        copies, originals = pictures[0::2], pictures[1::2]  # `-` sorts before `.`
        several = pd.Series(originals).duplicated(keep=False).to_numpy()
        print(
            f"  {name}, {kind:<24} found {(copies == originals).mean():.3f}, "
            f"false alarms {several.mean():.2%}",
            flush=True,
        )


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

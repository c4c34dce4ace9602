"""Generated JPEGs for the benchmarks: as many as are wanted, with the detail of photographs."""

from __future__ import annotations

import os
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

CORES = len(os.sched_getaffinity(0))
CLASSES = 10
PICTURES = 500  # different ones, if nothing is said; further files repeat them in other bytes


def generate_photos(
    folder: Path, count: int, width_px: int, pictures: int = PICTURES
) -> list[Path]:
    """Write JPEGs, 4:3, in class folders; no two files have the same digest.

    Args:
        folder: where the class folders are made.
        count: number of files.
        width_px: of each, pixels.
        pictures: different ones among them.

    Returns:
        The files, in turn from each class.
    """
    for number in range(CLASSES):
        (folder / f"class-{number}").mkdir(parents=True)
    files = [folder / f"class-{number % CLASSES}" / f"{number:06d}.jpg" for number in range(count)]
    first = files[:pictures]
    with Pool(CORES) as pool:
        pool.starmap(_generate_photo, [(file, width_px, i) for i, file in enumerate(first)])
    for number, file in enumerate(files[pictures:]):
        file.write_bytes(first[number % pictures].read_bytes() + f"{number}".encode())
    return files


def _generate_photo(file: Path, width_px: int, seed: int) -> None:
    """Write one JPEG: coarse colours, and finer ones on top."""
    random = np.random.default_rng(seed)
    size = (width_px, width_px * 3 // 4)
    coarse, fine = (
        Image.fromarray(random.integers(0, 256, (high, high * 4 // 3, 3), np.uint8)).resize(size)
        for high in (6, size[1] // 8)
    )
    Image.blend(coarse, fine, 0.2).save(file, quality=85)

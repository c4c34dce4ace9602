"""Images that training reads from their shards as it wants them, against images kept in memory.

python benchmarks/stored.py --shards data/shards

Batches of random images of the training split: from memory, from shards that the system has in its
cache, and from shards that it has not (it is asked to forget them before each batch).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._flags import existing  # noqa: E402
from components.common.artifacts.dataset import read_dataset  # noqa: E402
from components.common.shards.examples import read_split  # noqa: E402
from components.common.shards.stored import open_split  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402

BATCH = 32


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=existing, default=Path("data/shards"))
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    flags = parser.parse_args()
    dataset = read_dataset(flags.shards)
    files = [flags.shards / shard.file for shard in dataset.splits["train"].shards]
    start = time.perf_counter()
    stored = open_split(flags.shards, "train", dataset)
    found = time.perf_counter() - start
    whole = read_split(flags.shards, "train")
    images = len(whole.labels)
    np.testing.assert_array_equal(stored.pixels[0:BATCH], whole.pixels[0:BATCH])
    print(f"{images:,} images of {dataset.form.size_px} px in {len(files)} shards")
    print(f"finding them        {found / images * 1e6:10.0f} µs an image, once a run")
    for name, pixels, before in (
        ("from memory", whole.pixels, lambda: None),
        ("shards in the cache", stored.pixels, lambda: None),
        ("shards not cached", stored.pixels, lambda: forget(files)),
    ):
        print(f"{name:<20}{measure(pixels, before, flags.seconds):10,.0f} images/s")


def measure(pixels: Any, before: Callable[[], None], seconds: float) -> float:
    """Return images/s of random batches; what comes before a batch does not count."""
    random, spent, batches = np.random.default_rng(0), 0.0, 0
    while spent < seconds:
        rows = random.integers(0, len(pixels), BATCH)
        before()
        start = time.perf_counter()
        pixels[rows]
        spent += time.perf_counter() - start
        batches += 1
    return batches * BATCH / spent


def forget(files: list[Path]) -> None:
    """Ask the system to drop files from its cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    with exit_on_error():
        main()

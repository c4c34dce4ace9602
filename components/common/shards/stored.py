"""Pixels that stay in their shards: read image by image, in whatever order they are asked for.

The operating system keeps what it reads as long as memory is free, and gives it up when it is not:
the images that fit are cached. A read is a plain `pread` in a thread, so several go on at once and
none holds up the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.errors import DarkroomError
from components.common.shards.examples import Examples, find_order
from components.common.shards.tfrecord import compute_masked_crc
from components.common.shards.tfscan import CRC_BYTES, scan_shard
from components.common.terminal import bar

THREADS = 8  # reads at once; a network disk answers each after milliseconds
OPEN_FILES = 256  # kept open; Linux gives a process 1,024


class StoredPixels:
    """Stands for an array uint8 (images, size_px, size_px, 3) and is indexed as one, by rows."""

    def __init__(self, files: Sequence[Path], places: np.ndarray, size_px: int) -> None:
        """Remember where the images lie.

        Args:
            files: shards.
            places: int64 (images, 5): position in `files`, start and length of the record's data,
                first byte of the pixels in the data and the one behind the last.
            size_px: side of the images.
        """
        self._files, self._places = files, places
        self.shape = (len(places), size_px, size_px, 3)
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="shards")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Read images: a slice or an array of rows gives (rows, size_px, size_px, 3).

        Raises:
            DarkroomError: if an image is not what was written.
        """
        places = self._places[rows]
        found = np.empty((len(places), *self.shape[1:]), np.uint8)

        def read(first: int) -> None:
            for row in range(first, len(places), THREADS):
                found[row] = self._read(*places[row].tolist())

        list(self._threads.map(read, range(min(THREADS, len(places)))))
        return found

    def __del__(self) -> None:
        """Close the files."""
        self._threads.shutdown(wait=False)
        for descriptor in self._open.values():
            os.close(descriptor)

    def _read(self, shard: int, start: int, length: int, first: int, last: int) -> np.ndarray:
        data = self._read_bytes(shard, start, length + CRC_BYTES)
        if data[length:] != compute_masked_crc(data[:length]):
            raise DarkroomError(
                f"{self._files[shard]}: damaged (a wrong checksum at byte {start:,}); run "
                "preprocess again"
            )
        return np.frombuffer(data, np.uint8, last - first, first).reshape(self.shape[1:])

    def _read_bytes(self, shard: int, start: int, length: int) -> bytes:
        descriptor = self._open.get(shard)
        if descriptor is None:
            with self._lock:
                if shard not in self._open and len(self._open) < OPEN_FILES:
                    self._open[shard] = os.open(self._files[shard], os.O_RDONLY)
                descriptor = self._open.get(shard)
        if descriptor is not None:
            return os.pread(descriptor, length, start)
        descriptor = os.open(self._files[shard], os.O_RDONLY)
        try:
            return os.pread(descriptor, length, start)
        finally:
            os.close(descriptor)


def open_split(folder: Path, split: str, dataset: Dataset) -> Examples:
    """Return one split with its pixels left in the shards, in the order of `read_split`.

    Args:
        folder: of the shards.
        split: train or val.
        dataset: of the shards.

    Raises:
        DarkroomError: if a shard is missing, damaged, or holds other images than it should.
    """
    wanted, size_px = dataset.splits[split], dataset.form.size_px
    files = [folder / shard.file for shard in wanted.shards]
    places = np.empty((wanted.examples, 5), np.int64)
    labels = np.empty(wanted.examples, np.int64)
    paths: list[str] = []
    sha256: list[str] = []
    with bar(f"finding the images of {split}", "images", wanted.examples) as progress:
        for number, file in enumerate(files):
            for place in scan_shard(file):
                row = len(paths)
                first, last = place.pixels
                if row == wanted.examples or last - first != size_px * size_px * 3:
                    raise _unequal(folder, split, wanted.examples)
                places[row] = number, place.start, place.length, first, last
                labels[row] = place.label
                paths.append(place.path)
                sha256.append(place.sha256)
                progress.update(1)
    if len(paths) != wanted.examples:
        raise _unequal(folder, split, wanted.examples)
    order = find_order(paths, sha256)
    pixels = StoredPixels(files, places[order], size_px)
    paths, sha256 = ([texts[row] for row in order] for texts in (paths, sha256))
    return Examples(pixels, labels[order], paths, sha256)


def _unequal(folder: Path, split: str, expected: int) -> DarkroomError:
    return DarkroomError(
        f"{folder}: the shards of {split} do not hold the {expected} examples of dataset.json; "
        "run preprocess again"
    )

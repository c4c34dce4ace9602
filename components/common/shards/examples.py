"""Read the shards: as a stream of batches, or whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import LABEL, PATH, PIXELS, SHA256, read_dataset
from components.common.errors import DarkroomError


@dataclass(frozen=True)
class Examples:
    """One split: in memory, or its pixels read when rows of them are taken."""

    pixels: Any  # uint8 (examples, size_px, size_px, 3), an array or what is indexed as one
    labels: np.ndarray  # int64 (examples,)
    paths: list[str]
    sha256: list[str]
    groups: list[str] = field(default_factory=list)  # what stays together; empty: not asked for

    @property
    def units(self) -> list[str]:
        """The group of each image; where they were not asked for, equal bytes are one."""
        return self.groups or self.sha256


def stream_split(folder: Path, split: str, batch_size: int) -> Any:
    """Return a tf.data.Dataset over one split in the order of its shards, no example left out.

    Args:
        folder: folder of shards and dataset.json.
        split: train, val or test.
        batch_size: examples in a batch.

    Yields:
        Batches (pixels uint8 (b, size_px, size_px, 3), label int64 (b,), path (b,), sha256 (b,)).

    Raises:
        DarkroomError: if a shard of dataset.json is missing.
    """
    from components.common.backend import tf

    dataset = read_dataset(folder)
    size = dataset.form.size_px
    features = {
        PIXELS: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
        PATH: tf.io.FixedLenFeature([], tf.string),
        SHA256: tf.io.FixedLenFeature([], tf.string),
    }

    def parse(records: Any) -> tuple[Any, ...]:
        found = tf.io.parse_example(records, features)
        flat = tf.io.decode_raw(found[PIXELS], tf.uint8, fixed_length=size * size * 3)
        pixels = tf.reshape(flat, (-1, size, size, 3))  # (b, size, size, 3)
        return pixels, found[LABEL], found[PATH], found[SHA256]

    files = [folder / shard.file for shard in dataset.splits[split].shards]
    for file in files:
        if not file.is_file():
            raise DarkroomError(f"{file}: shard is missing; run preprocess again")
    records = tf.data.TFRecordDataset([str(file) for file in files])
    return records.batch(batch_size).map(parse, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


@contextmanager
def explain_damage(folder: Path, split: str) -> Iterator[None]:
    """Turn what TensorFlow says of a damaged shard into a DarkroomError."""
    from components.common.backend import tf

    try:
        yield
    except tf.errors.DataLossError as error:
        raise DarkroomError(
            f"{folder}: a shard of {split} is damaged ({error.message.splitlines()[0]}); run "
            "preprocess again"
        ) from None


def read_split(folder: Path, split: str) -> Examples:
    """Read one split whole into memory; :func:`stream_split` holds one batch at a time.

    Its images are in the order of :func:`find_order`.

    Raises:
        DarkroomError: if a shard is missing, damaged, or holds another number of examples than it
            should.
    """
    dataset = read_dataset(folder)
    size, expected = dataset.form.size_px, dataset.splits[split].examples
    pixels = np.empty((expected, size, size, 3), np.uint8)
    labels = np.empty(expected, np.int64)
    paths: list[str] = []
    sha256: list[str] = []
    with explain_damage(folder, split):
        for batch, batch_labels, batch_paths, batch_sha256 in stream_split(folder, split, 64):
            start, stop = len(paths), len(paths) + len(batch_labels)
            if stop > expected:
                break
            pixels[start:stop], labels[start:stop] = batch.numpy(), batch_labels.numpy()
            paths += [path.decode() for path in batch_paths.numpy()]
            sha256 += [digest.decode() for digest in batch_sha256.numpy()]
    if len(paths) != expected:
        raise DarkroomError(
            f"{folder}: the shards of {split} do not hold the {expected} examples of dataset.json; "
            "run preprocess again"
        )
    order = find_order(paths, sha256)
    _reorder(pixels, order)
    return Examples(
        pixels, labels[order], [paths[row] for row in order], [sha256[row] for row in order]
    )


def find_order(paths: Sequence[str], sha256: Sequence[str]) -> np.ndarray:
    """Return the rows of images by sha256, then path: whatever shards they are in.

    So what is learnt of them does not depend on which of them came together, or how large a shard
    is; and classes are mixed.
    """
    return np.lexsort((np.array(paths, object), np.array(sha256, object)))


def _reorder(pixels: np.ndarray, order: np.ndarray) -> None:
    """Put row order[i] into row i, in place: twice the pixels may not fit into memory."""
    todo = order != np.arange(len(order))
    for start in np.flatnonzero(todo):
        if not todo[start]:
            continue
        kept, row = pixels[start].copy(), start
        while order[row] != start:
            pixels[row], todo[row] = pixels[order[row]], False
            row = order[row]
        pixels[row], todo[row] = kept, False

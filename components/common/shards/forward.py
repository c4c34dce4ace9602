"""Run a network over one split, each example exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError
from components.common.shards.examples import explain_damage, stream_split
from components.common.terminal import bar


@dataclass(frozen=True)
class SplitAnswers:
    """The answers of a network for one split, sorted by path as the manifest is."""

    paths: list[str]
    sha256: list[str]
    labels: np.ndarray  # int64 (examples,)
    logits: np.ndarray  # float32 (examples, classes)

    def with_probabilities(self, class_names: list[str], probabilities: np.ndarray) -> Predictions:
        """Return the predictions that these logits and their probabilities are."""
        return Predictions(
            class_names, self.paths, self.sha256, self.labels, self.logits, probabilities
        )


def fill_up(batch: np.ndarray, size: int) -> np.ndarray:
    """Return a batch of `size` rows, (size, …), a shorter one filled up by its own first rows.

    So a network is compiled for one shape only; the caller leaves out the further answers.
    """
    return batch if len(batch) == size else np.resize(batch, (size, *batch.shape[1:]))


def answer_split(
    forward: Callable[[np.ndarray], Any],
    shards: Path,
    split: str,
    dataset: Dataset,
    batch_size: int,
) -> SplitAnswers:
    """Return the logits of every example of a split; only one batch of pixels is held at a time.

    Args:
        forward: pixels (b, size_px, size_px, 3) → logits (b, classes), such as a Keras model's
            `predict_on_batch`.
        shards: the folder of `dataset`.
        split: train, val or test.
        dataset: of the shards.
        batch_size: examples in one forward pass.

    Raises:
        DarkroomError: if the shards do not hold what dataset.json says.
    """
    expected = dataset.splits[split].examples
    if not expected:
        empty = np.zeros((0, len(dataset.class_names)), np.float32)
        return SplitAnswers([], [], np.zeros(0, np.int64), empty)
    batch_size = min(batch_size, expected)
    logits: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    paths: list[str] = []
    sha256: list[str] = []
    with explain_damage(shards, split), bar(f"{split} images", "images", expected) as progress:
        for pixels, batch_labels, batch_paths, batch_sha256 in stream_split(
            shards, split, batch_size
        ):
            count, array = len(pixels), fill_up(pixels.numpy(), batch_size)
            logits.append(np.asarray(forward(array))[:count])  # (count, classes)
            labels.append(batch_labels.numpy())
            paths += [path.decode() for path in batch_paths.numpy()]
            sha256 += [digest.decode() for digest in batch_sha256.numpy()]
            progress.update(count)
    if len(paths) != expected or len(set(paths)) != expected:
        raise DarkroomError(
            f"{shards}: the {split} shards hold {len(set(paths)):,} different images in "
            f"{len(paths):,} records, dataset.json says {expected:,}; run preprocess again"
        )
    order = np.argsort(np.array(paths, dtype=object), kind="stable")
    return SplitAnswers(
        paths=[paths[i] for i in order],
        sha256=[sha256[i] for i in order],
        labels=np.concatenate(labels)[order],
        logits=np.concatenate(logits).astype(np.float32)[order],
    )

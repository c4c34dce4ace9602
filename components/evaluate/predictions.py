"""Run the model over the test split: each image exactly once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from components.common.dataset import Dataset
from components.common.errors import DarkroomError
from components.common.examples import stream_split
from components.common.model import (
    LOGITS,
    ModelCard,
    compute_probabilities,
    load_model,
)
from components.common.reports import Predictions
from components.common.terminal import bar

SPLIT = "test"


def check_fit(model: Path, card: ModelCard, shards: Path, dataset: Dataset) -> None:
    """Raise DarkroomError if the model cannot be judged on this data set."""
    if card.class_names != dataset.class_names:
        raise DarkroomError(
            f"{model}: knows other classes than {shards}: {_compare(card, dataset)}; run train "
            "again on these shards"
        )
    if card.form != dataset.form:
        theirs, ours = (
            f"{form.resize} to {form.size_px} px on {form.background}"
            for form in (card.form, dataset.form)
        )
        raise DarkroomError(
            f"{model}: was trained on images of the form {theirs}, {shards} holds {ours}; run "
            "train again on these shards"
        )
    if dataset.splits[SPLIT].examples == 0:
        raise DarkroomError(
            f"{shards}: the test split holds no image, so nothing can be measured; raise "
            "preprocess.test_fraction, or add images"
        )


def predict_split(
    model: Path, card: ModelCard, shards: Path, dataset: Dataset, batch_size: int
) -> Predictions:
    """Return what the model says of every test image; only one batch of pixels is held at a time.

    Raises:
        DarkroomError: if logits are not finite, or the shards do not hold what dataset.json says.
    """
    from components.common.backend import keras

    whole = load_model(model)
    try:
        network = keras.Model(whole.input, whole.get_layer(LOGITS).output)
    except ValueError:
        raise DarkroomError(f"{model}: has no layer `{LOGITS}`; run train again") from None
    expected, classes = dataset.splits[SPLIT].examples, len(dataset.class_names)
    if network.output_shape[-1] != classes:
        raise DarkroomError(
            f"{model}: gives {network.output_shape[-1]} logits for {classes} classes; run train "
            "again"
        )
    batch_size = min(batch_size, expected)
    logits: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    paths: list[str] = []
    sha256: list[str] = []
    with bar("test images", "images", expected) as progress:
        for pixels, batch_labels, batch_paths, batch_sha256 in stream_split(
            shards, SPLIT, batch_size
        ):
            count = len(pixels)
            # The last batch is filled up, so that the network is compiled for one shape only.
            full = np.pad(pixels.numpy(), ((0, batch_size - count), (0, 0), (0, 0), (0, 0)))
            logits.append(network.predict_on_batch(full)[:count])  # (count, classes)
            labels.append(batch_labels.numpy())
            paths += [path.decode() for path in batch_paths.numpy()]
            sha256 += [digest.decode() for digest in batch_sha256.numpy()]
            progress.update(count)
    _check_count(shards, paths, expected)
    order = np.argsort(np.array(paths, dtype=object), kind="stable")
    table = np.concatenate(logits).astype(np.float32)[order]  # (images, classes)
    paths = [paths[i] for i in order]
    _check_finite(model, table, paths)
    return Predictions(
        class_names=dataset.class_names,
        paths=paths,
        sha256=[sha256[i] for i in order],
        labels=np.concatenate(labels)[order],
        logits=table,
        probabilities=compute_probabilities(table, card.temperature),
    )


def read_pixels_of(shards: Path, paths: Collection[str]) -> dict[str, np.ndarray]:
    """Return the pixels of a few test images, path → uint8 (size_px, size_px, 3)."""
    wanted, found = set(paths), {}
    if wanted:
        for pixels, _, batch_paths, _ in stream_split(shards, SPLIT, 64):
            for position, path in enumerate(batch_paths.numpy()):
                if path.decode() in wanted:
                    found[path.decode()] = pixels[position].numpy()
            if len(found) == len(wanted):
                break
    return found


def _compare(card: ModelCard, dataset: Dataset) -> str:
    model, data = set(card.class_names), set(dataset.class_names)
    parts = []
    for words, names in (("only the model has", model - data), ("only the data has", data - model)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            parts.append(f"{words} {', '.join(sorted(names)[:5])}{more}")
    return "; ".join(parts) or "the same names in another order"


def _check_count(shards: Path, paths: list[str], expected: int) -> None:
    if len(paths) != expected or len(set(paths)) != expected:
        raise DarkroomError(
            f"{shards}: the test shards hold {len(set(paths)):,} different images in "
            f"{len(paths):,} records, dataset.json says {expected:,}; run preprocess again"
        )


def _check_finite(model: Path, logits: np.ndarray, paths: list[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise DarkroomError(
            f"{model}: its answers for {len(broken):,} of {len(paths):,} test images are not "
            f"numbers (the first: {paths[broken[0]]}), so its training diverged; lower "
            "train.finetune.learning_rate and run train again"
        )

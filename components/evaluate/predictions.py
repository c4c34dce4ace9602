"""Run the model over the test split: each image exactly once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.model import (
    LOGITS,
    ModelCard,
    compute_probabilities,
    load_model,
)
from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError
from components.common.shards.forward import answer_split

SPLIT = "test"


def check_fit(model: Path, card: ModelCard, shards: Path, dataset: Dataset) -> None:
    """Raise DarkroomError if the model cannot be judged on this data set."""
    if card.class_names != dataset.class_names:
        raise DarkroomError(
            f"{model}: knows other classes than {shards}: {_compare(card, dataset)}; run train "
            "again on these shards"
        )
    # A model of a version before saw dark colours of 16 bits as all but black, and nothing else
    # otherwise: it is judged on, and need not be trained again for photos that hardly any set has.
    if replace(card.form, deep_colours=dataset.form.deep_colours) != dataset.form:
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


def load_network(model: Path, dataset: Dataset) -> Any:
    """Return the whole network of a model file, after a look at whether it fits the classes."""
    from components.common.backend import keras

    whole = load_model(model)
    try:
        logits = whole.get_layer(LOGITS).output
    except ValueError:
        raise DarkroomError(f"{model}: has no layer `{LOGITS}`; run train again") from None
    classes = len(dataset.class_names)
    if logits.shape[-1] != classes:
        raise DarkroomError(
            f"{model}: gives {logits.shape[-1]} logits for {classes} classes; run train again"
        )
    assert isinstance(whole, keras.Model)
    return whole


def predict_split(
    network: Any, card: ModelCard, shards: Path, dataset: Dataset, batch_size: int
) -> Predictions:
    """Return what the model says of every test image.

    Args:
        network: up to its logits.
        card: what the model file says of itself.
        shards: folder of the shards.
        dataset: of the shards.
        batch_size: images in one forward pass.

    Raises:
        DarkroomError: if logits are not finite, or the shards do not hold what dataset.json says.
    """
    found = answer_split(network.predict_on_batch, shards, SPLIT, dataset, batch_size)
    _check_finite(found.logits, found.paths)
    probabilities = compute_probabilities(card.calibration.apply(found.logits), 1.0)
    return found.with_probabilities(dataset.class_names, probabilities)


def _compare(card: ModelCard, dataset: Dataset) -> str:
    model, data = set(card.class_names), set(dataset.class_names)
    parts = []
    for words, names in (("only the model has", model - data), ("only the data has", data - model)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            parts.append(f"{words} {', '.join(sorted(names)[:5])}{more}")
    return "; ".join(parts) or "the same names in another order"


def _check_finite(logits: np.ndarray, paths: list[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise DarkroomError(
            f"the model's answers for {len(broken):,} of {len(paths):,} test images are not "
            f"numbers (the first: {paths[broken[0]]}), so its training diverged; lower "
            "train.finetune.learning_rate and run train again"
        )

"""How a network learns to tell another's features: for benchmarks/adapt.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.model import LOGITS, take_part
from components.common.backend import keras
from components.common.shards.examples import Examples
from components.train.feed.batches import create_batches
from components.train.feed.recipe import Recipe
from components.train.finetuning.optimizers import create_optimizer
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import (
    HEAD_INPUT,
    create_network,
    find_bodies,
    set_head,
    unfreeze,
)
from components.train.spec import Augment, Finetune

STUDENT = "EfficientNetLite0"
BATCH = 32


@dataclass(frozen=True)
class Features:
    """What a network says of the photos of a set, (photos, channels)."""

    pool: np.ndarray
    test: np.ndarray


def make_views(pixels: np.ndarray, count: int, *, flip: bool) -> np.ndarray:
    """Return changed views of all photos, uint8 (views · photos, side, side, 3)."""
    nothing = [""] * len(pixels)
    photos = Examples(pixels, np.zeros(len(nothing), np.int64), nothing, nothing)
    settings = Finetune(batch_size=BATCH, learning_rate=1e-4)
    recipe = Recipe(settings, Augment(erase=0.0), flip=flip, seed=0, classes=2)
    found = []
    for view in range(1, count + 1):
        batches = [batch[0].numpy() for batch in create_batches(photos, recipe, view)]
        whole = np.concatenate(batches)[: len(pixels)]  # the last batch was filled up
        found.append(whole.round().clip(0, 255).astype(np.uint8))
    return np.concatenate(found)


def create(backbone: str, size_px: int, outputs: int = 2) -> Any:
    """Return a network with its published weights and a head of so many numbers."""
    known = find_backbone(backbone)
    names = [str(number) for number in range(outputs)]
    body = create_body(known, "imagenet", size_px)
    return create_network(known, body, names, size_px=size_px, dropout=0.0)


def extract(backbone: str, pixels: np.ndarray) -> np.ndarray:
    """Return a published network's features, float32 (images, channels)."""
    return look(create(backbone, pixels.shape[1]), pixels)


def look(network: Any, pixels: np.ndarray) -> np.ndarray:
    """Return the features that a network's head is given."""
    return np.asarray(take_part(network, HEAD_INPUT).predict(pixels, BATCH, verbose=0), np.float32)


def adapt(views: np.ndarray, taught: np.ndarray, weights: Path, steps: int, rate: float) -> Any:
    """Train the student to tell the teacher's features; write its backbone, return the network.

    Args:
        views: of the photos, (views, side, side, 3).
        taught: the teacher's features of them.
        weights: is written.
        steps: of 32 views each.
        rate: highest learning rate.
    """
    keras.utils.set_random_seed(0)
    aims = (taught - taught.mean(axis=0)) / (taught.std(axis=0) + 1e-6)
    network = create(STUDENT, views.shape[1], aims.shape[1])
    set_head(network, *fit_ridge(look(network, views), aims))
    unfreeze(network, "all")
    model = take_part(network, LOGITS)
    optimizer = create_optimizer(Finetune(learning_rate=rate), steps)
    model.compile(optimizer=optimizer, loss="mse")
    before = model.evaluate(views, aims, BATCH, verbose=0)
    model.fit(views, aims, BATCH, epochs=max(1, round(steps * BATCH / len(views))), verbose=0)
    means = optimizer._model_variables_moving_average
    for variable, mean in zip(model.trainable_variables, means, strict=True):
        variable.assign(mean)
    after = model.evaluate(views, aims, BATCH, verbose=0)
    print(f"of the teacher's features {1 - before:.2f} told before, {1 - after:.2f} after")
    find_bodies(network)[0].save_weights(weights)
    return network


def fit_ridge(features: np.ndarray, aims: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear layer that tells one network's features from another's best."""
    from sklearn.linear_model import RidgeCV

    found = RidgeCV(alphas=np.logspace(-1, 4, 6)).fit(features, aims)
    return found.coef_.T.astype(np.float32), found.intercept_.astype(np.float32)

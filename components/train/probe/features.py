"""Features of the frozen network, extracted once: of images as they are, and of changed ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from components.common.errors import DarkroomError
from components.train.feed.batches import create_batches, create_order
from components.train.feed.material import Material
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import within_memory
from components.train.runtime.passes import Forward, run_forward

PIECE_BATCHES = 20  # batches between two checkpoints


def extract_features(
    forward: Forward, pixels: Any, batch_size: int, what: str, checkpoint: Checkpoint
) -> np.ndarray:
    """Run a frozen network over images once, or go on where an earlier run was stopped.

    Args:
        forward: pixels → features.
        pixels: uint8 (images, size_px, size_px, 3).
        batch_size: images in one forward pass.
        what: their name, for the progress bar and the checkpoint.
        checkpoint: where the features are kept, piece by piece.

    Returns:
        float32 array (images, channels).
    """
    done: list[np.ndarray] = []
    while found := checkpoint.load(f"features-{what}-{len(done):05d}"):
        done.append(found[1]["features"])
    piece = batch_size * PIECE_BATCHES

    def extract_rest(size: int) -> None:
        for start in range(sum(map(len, done)), len(pixels), piece):
            rows = np.arange(start, min(start + piece, len(pixels)))
            features = run_forward(forward, pixels, size, what, rows)
            check_features(features)
            checkpoint.save(f"features-{what}-{len(done):05d}", {}, {"features": features})
            done.append(features)

    within_memory(batch_size, extract_rest)
    return np.concatenate(done)


def check_features(features: np.ndarray) -> None:
    """Raise DarkroomError if features are no numbers: weights are damaged, or numbers too short."""
    wrong = int((~np.isfinite(features)).any(axis=1).sum())
    if wrong:
        raise DarkroomError(
            f"train: of {wrong} among {len(features)} images the network's features are no finite "
            "numbers: set train.precision to float32 if it is not; else the weights of "
            "train.backbone or train.weights are damaged, get them again"
        )


def extract_view(
    forward: Forward, material: Material, view: int, checkpoint: Checkpoint
) -> np.ndarray:
    """Return the features of the training images, each changed as fine-tuning would change it."""
    part = f"features-view-{view}"
    if found := checkpoint.load(part):
        return found[1]["features"]
    train, recipe = material.train, material.recipe
    plain = replace(
        recipe,
        finetune=replace(recipe.finetune, balance="none"),
        augment=replace(recipe.augment, mixup=0.0, cutmix=0.0),
        process=0,
        processes=1,
        passes=1,
    )
    order, features = create_order(train.labels, plain, view), []
    for batch in create_batches(train, plain, view):
        pixels = batch[0].numpy()
        again = partial(run_forward, forward, pixels, what=f"view {view}")
        features.append(within_memory(len(pixels), again))
        check_features(features[-1])
    found_features = np.empty((len(order), features[0].shape[1]), np.float32)
    found_features[order] = np.concatenate(features)[: len(order)]  # the last batch was filled up
    checkpoint.save(part, {}, {"features": found_features})
    return found_features

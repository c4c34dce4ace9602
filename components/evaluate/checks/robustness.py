"""How much of the accuracy is left on spoilt images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.common.shards.forward import fill_up
from components.common.statistics.shares import compute_share_interval
from components.common.terminal import bar
from components.evaluate.checks.corruptions import CORRUPTIONS, STRENGTHS, spoil


@dataclass(frozen=True)
class Robustness:
    """The accuracy under one corruption at one strength."""

    name: str  # corruption.strength
    corruption: str
    strength: int  # 0: the same images as they are
    images: int
    accuracy: float
    accuracy_interval: list[float]


CLEAN = "clean"


def choose_sample(images: int, count: int) -> np.ndarray:
    """Return the positions of the images that are spoilt, spread over the split and its classes."""
    return np.unique(np.linspace(0, images - 1, min(images, count)).astype(np.int64))


def measure_robustness(
    answer: Callable[[np.ndarray], np.ndarray],
    images: list[np.ndarray],
    labels: np.ndarray,
    level: float,
    batch_size: int,
) -> list[Robustness]:
    """Judge a network on the same images, spoilt in every way.

    Args:
        answer: pixels (b, side, side, 3) → calibrated logits or probabilities (b, classes).
        images: each uint8 (side, side, 3); none: nothing is judged.
        labels: int64 (images,).
        level: of the intervals.
        batch_size: images in one forward pass.
    """
    if not images:
        return []
    pixels = np.stack(images)
    variants = [(CLEAN, 0), *((name, step) for name in CORRUPTIONS for step in STRENGTHS)]
    size = min(batch_size, len(pixels))
    found = []
    with bar("spoilt images", "images", len(variants) * len(pixels)) as progress:
        for corruption, strength in variants:
            spoilt = spoil(pixels, corruption, strength) if strength else pixels
            taken = []
            for start in range(0, len(spoilt), size):
                batch = spoilt[start : start + size]
                taken.append(answer(fill_up(batch, size))[: len(batch)])
                progress.update(len(batch))
            hits = np.concatenate(taken).argmax(axis=1) == labels
            ends = compute_share_interval(hits, np.arange(len(hits)), level)
            found.append(
                Robustness(
                    name=f"{corruption}.{strength}",
                    corruption=corruption,
                    strength=strength,
                    images=len(hits),
                    accuracy=float(hits.mean()),
                    accuracy_interval=list(ends),
                )
            )
    return found

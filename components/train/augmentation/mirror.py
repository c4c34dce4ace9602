"""May training images be mirrored? Clothes may, digits must not: a mirrored 2 is no 2."""

from __future__ import annotations

import numpy as np

from components.common.shards.examples import Examples
from components.common.terminal import say

# A thumbnail of 16 px still shows which way a thing faces. 5,000 neighbours are enough to judge by.
SIDE_PX, NEIGHBOURS, JUDGED = 16, 5000, 2000
FEW = 256


def choose_flip(setting: str, train: Examples, val: Examples) -> bool:
    """Return whether training mirrors images: `always`, `never`, or `auto` by how they look."""
    if setting != "auto":
        return setting == "always"
    flip, plain, mirrored = is_mirror_safe(train, val)
    say(
        f"nearest neighbours name {plain:.0%} of the validation images, {mirrored:.0%} of them "
        f"mirrored: training {'mirrors' if flip else 'does not mirror'} images"
    )
    return flip


def is_mirror_safe(train: Examples, val: Examples) -> tuple[bool, float, float]:
    """Whether mirrored images still look like images of their own class.

    A pretrained network cannot tell: it was taught to overlook mirroring. Nearest neighbours among
    thumbnails can: of scikit-learn's digits they name 99 %, and 40 % of them mirrored; of clothing
    photos 48 % and 44 %. Mirroring counts as safe if accuracy falls by no more than two of its
    standard errors.

    Returns:
        The verdict, the accuracy on validation images as they are, and that on them mirrored.
    """
    known = np.linspace(0, len(train.labels) - 1, min(NEIGHBOURS, len(train.labels))).astype(int)
    asked = np.linspace(0, len(val.labels) - 1, min(JUDGED, len(val.labels))).astype(int)
    neighbours, labels = _shrink(train, known), train.labels[known]
    thumbnails = _shrink(val, asked).reshape(len(asked), SIDE_PX, SIDE_PX)

    def judge(queries: np.ndarray) -> float:
        nearest = (queries.reshape(len(asked), -1) @ neighbours.T).argmax(axis=1)
        return float((labels[nearest] == val.labels[asked]).mean())

    plain, mirrored = judge(thumbnails), judge(thumbnails[:, :, ::-1])
    error = np.sqrt(plain * (1 - plain) / len(asked))
    return mirrored >= plain - 2 * max(error, 1 / len(asked)), plain, mirrored


def _shrink(examples: Examples, rows: np.ndarray) -> np.ndarray:
    """Return thumbnails of some images, few of which are held as they are at a time."""
    starts = range(0, len(rows), FEW)
    return np.concatenate(
        [compute_thumbnails(examples.pixels[rows[start : start + FEW]]) for start in starts]
    )


def compute_thumbnails(pixels: np.ndarray) -> np.ndarray:
    """Return grey thumbnails as vectors of mean 0 and length 1: (images, SIDE_PX · SIDE_PX).

    Args:
        pixels: uint8 (images, size_px, size_px, 3), of SIDE_PX or more.
    """
    edges = np.linspace(0, pixels.shape[1], SIDE_PX + 1).astype(int)[:-1]
    grey = pixels.mean(axis=3, dtype=np.float32)  # (images, size_px, size_px)
    small = np.add.reduceat(np.add.reduceat(grey, edges, axis=1), edges, axis=2)
    flat = small.reshape(len(pixels), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)

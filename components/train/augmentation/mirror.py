"""May training images be mirrored? Clothes may, digits must not: a mirrored 2 is no 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.common.host import limit_blas
from components.common.shards.examples import Examples
from components.common.terminal import say
from components.train.augmentation.pairs import Swap, find_swaps

# A thumbnail of 16 px still shows which way a thing faces.
SIDE_PX = 16
KNOWN = 5000  # images of train and val that are looked at, as many of each class as can be
FEW = 256
# Photos lose a little by mirroring, since series of them face one way; what cannot be mirrored
# loses most of what neighbours know of it.
LOST = 0.25


@dataclass(frozen=True)
class Verdict:
    """What mirroring does to what nearest neighbours say."""

    is_safe: bool
    plain: float  # share of the images that their neighbours name rightly
    mirrored: float  # of their mirror images
    swaps: list[Swap]


def choose_flip(setting: str, train: Examples, val: Examples, names: Sequence[str]) -> bool:
    """Return whether training mirrors images: `always`, `never`, or `auto` by how they look."""
    if setting != "auto":
        return setting == "always"
    found = judge_mirroring(train, val, len(names))
    swaps = "".join(
        f"; mirrored, {swap.taken:.0%} of {names[swap.label]} become {names[swap.other]}"
        for swap in found.swaps[:1]
    )
    say(
        f"nearest neighbours name {found.plain:.0%} of the images, {found.mirrored:.0%} of them "
        f"mirrored{swaps}: training {'may mirror' if found.is_safe else 'does not mirror'} images"
    )
    return found.is_safe


def judge_mirroring(train: Examples, val: Examples, classes: int) -> Verdict:
    """Return whether mirrored images still look like images of their own class.

    A pretrained network cannot tell for all: it was taught to overlook mirroring. Nearest
    neighbours among thumbnails can: of scikit-learn's digits they name 99 %, and 40 % of them
    mirrored; of clothing photos 48 % and 44 %. An image is never its own neighbour, nor one of its
    group. Mirroring is unsafe if it takes a quarter of what neighbours know beyond the most common
    class, by more than two standard errors, or if it turns one class into another.
    """
    labels = np.concatenate([train.labels, val.labels])
    rows = _spread(labels)
    first = len(train.labels)
    thumbnails = np.concatenate(
        [_shrink(train, rows[rows < first]), _shrink(val, rows[rows >= first] - first)]
    )
    units = [*train.units, *val.units]
    groups = np.unique([units[row] for row in rows], return_inverse=True)[1]
    own = labels[rows]
    mirrored = thumbnails.reshape(-1, SIDE_PX, SIDE_PX)[:, :, ::-1].reshape(len(rows), -1)
    plain, changed = (_ask(thumbnails, own, groups, asked) for asked in (thumbnails, mirrored))
    right, still = float((plain == own).mean()), float((changed == own).mean())
    chance = np.bincount(own).max() / len(own)
    error = np.sqrt(max(right * (1 - right), 1 / len(own)) / len(own))
    is_lost = right - still > max(2 * error, LOST * (right - chance))
    swaps = find_swaps(own, plain, changed, classes)
    return Verdict(not is_lost and not swaps, right, still, swaps)


def _spread(labels: np.ndarray) -> np.ndarray:
    """Return positions of at most KNOWN images, ascending, as many of each class as can be."""
    if len(labels) <= KNOWN:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels))[:-1]])
    place = np.empty(len(labels), int)  # of an image in its class
    place[order] = np.arange(len(labels)) - starts[labels[order]]
    return np.sort(np.argsort(place, kind="stable")[:KNOWN])


def _ask(
    known: np.ndarray, labels: np.ndarray, groups: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Return the label of the nearest neighbour of each image, which is of another group."""
    answers = np.empty(len(asked), labels.dtype)
    for start in range(0, len(asked), FEW):
        part = slice(start, start + FEW)
        with limit_blas(asked[part].size * len(known)):
            likeness = asked[part] @ known.T  # (few, known)
        likeness[groups[part, None] == groups[None]] = -np.inf
        answers[part] = labels[likeness.argmax(axis=1)]
    return answers


def _shrink(examples: Examples, rows: np.ndarray) -> np.ndarray:
    """Return thumbnails of some images, few of which are held as they are at a time."""
    starts = range(0, len(rows), FEW)
    few = [compute_thumbnails(examples.pixels[rows[start : start + FEW]]) for start in starts]
    return np.concatenate([np.zeros((0, SIDE_PX * SIDE_PX), np.float32), *few])


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

"""Which test images the report shows, and how they get into the page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import read_dataset
from components.common.artifacts.predictions import Predictions
from components.common.images.uris import encode_image
from components.common.shards.examples import stream_split
from components.common.shards.stored import open_split
from components.evaluate.predictions import SPLIT

SIDE_PX = 176  # shown at up to 160 px
SMALL_PX = 112  # of those behind a cell of the confusion table
QUALITY = 78  # of the JPEGs: about 5 kB, and 2.5 kB of the small ones
PER_CELL = 12  # pictures behind one cell
# Behind all cells: the page of 10,000 test images then stays under 5 MB.
MOST_SMALL = 1200


@dataclass(frozen=True)
class Shown:
    """A test image of the report."""

    position: int  # in the predictions
    path: str
    actual: str
    predicted: str
    probability: float  # of the predicted class
    probability_of_actual: float


def find_worst_mistakes(predictions: Predictions, most: int) -> list[Shown]:
    """Return the mistakes of which the model was surest, the surest first."""
    wrong = np.flatnonzero(~predictions.correct)
    order = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:most]
    return [show(predictions, int(i)) for i in order]


def find_typical_hits(predictions: Predictions, most: int) -> list[Shown]:
    """Return, of each class, the rightly named image of middle probability; `most` classes."""
    found = []
    for label in range(len(predictions.class_names)):
        hits = np.flatnonzero(predictions.correct & (predictions.labels == label))
        if len(hits):
            order = hits[np.argsort(predictions.confidence[hits], kind="stable")]
            found.append(show(predictions, int(order[len(order) // 2])))
    return found[:most]


def find_of_pair(predictions: Predictions, actual: str, predicted: str, most: int) -> list[Shown]:
    """Return images of one class that were taken for another, the surest first."""
    names = predictions.class_names
    of = (predictions.labels == names.index(actual)) & (
        predictions.predicted == names.index(predicted)
    )
    positions = np.flatnonzero(of)
    order = positions[np.argsort(-predictions.confidence[positions], kind="stable")][:most]
    return [show(predictions, int(i)) for i in order]


def choose_for_cells(predictions: Predictions) -> dict[tuple[int, int], list[int]]:
    """Return (label, predicted) → positions of the images behind that cell, the surest first.

    Mistakes go before hits, and small cells lose nothing to large ones: each round gives every
    cell one more picture, until MOST_SMALL are chosen.
    """
    labels, predicted = predictions.labels, predictions.predicted
    cells: dict[tuple[int, int], list[int]] = {}
    for i in np.argsort(-predictions.confidence, kind="stable"):
        cells.setdefault((int(labels[i]), int(predicted[i])), []).append(int(i))
    chosen: dict[tuple[int, int], list[int]] = {}
    left = MOST_SMALL
    for is_hit in (False, True):
        some = sorted(cell for cell in cells if (cell[0] == cell[1]) == is_hit)
        for turn in range(PER_CELL):
            for cell in some:
                if left and turn < len(cells[cell]):
                    chosen.setdefault(cell, []).append(cells[cell][turn])
                    left -= 1
    return chosen


def show(predictions: Predictions, i: int) -> Shown:
    """Return what the report says of one image."""
    names = predictions.class_names
    return Shown(
        position=i,
        path=predictions.paths[i],
        actual=names[predictions.labels[i]],
        predicted=names[predictions.predicted[i]],
        probability=float(predictions.confidence[i]),
        probability_of_actual=float(predictions.probabilities[i, predictions.labels[i]]),
    )


def read_pictures(
    shards: Path, whole: Collection[str], small: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read some test images in one pass.

    Args:
        shards: folder of shards and dataset.json.
        whole: paths of the images whose pixels are wanted.
        small: paths of those that are wanted as small JPEGs.

    Returns:
        path → uint8 (size_px, size_px, 3); path → data URI.
    """
    pixels: dict[str, np.ndarray] = {}
    uris: dict[str, str] = {}
    whole, small = set(whole), set(small)
    if not whole and not small:
        return pixels, uris
    for batch, _, paths, _ in stream_split(shards, SPLIT, 64):
        names = [path.decode() for path in paths.numpy()]
        if whole.isdisjoint(names) and small.isdisjoint(names):
            continue
        array = batch.numpy()
        for i, name in enumerate(names):
            if name in whole:
                pixels[name] = array[i]
            if name in small:
                uris[name] = encode_picture(array[i], SMALL_PX)
        if len(pixels) == len(whole) and len(uris) == len(small):
            break
    return pixels, uris


def read_suspects_pictures(shards: Path, suspects: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return path → data URI of images of train and val, stepping over the pixels of all others.

    Args:
        shards: folder of shards and dataset.json.
        suspects: rows of label_issues.csv.
    """
    dataset, found = read_dataset(shards), {}
    for split in {one["split"] for one in suspects} & set(dataset.splits):
        wanted = {one["path"] for one in suspects if one["split"] == split}
        stored = open_split(shards, split, dataset)
        rows = [row for row, path in enumerate(stored.paths) if path in wanted]
        for row, pixels in zip(rows, stored.pixels[np.array(rows, np.int64)], strict=True):
            found[stored.paths[row]] = encode_picture(pixels)
    return found


def encode_picture(pixels: np.ndarray, side_px: int = SIDE_PX, quality: int = QUALITY) -> str:
    """Return a data URI of a small JPEG of uint8 (side, side, 3)."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return encode_image(image, "JPEG", quality=quality, optimize=True)


def encode_map(cam: np.ndarray) -> str:
    """Return a data URI of a map as a tiny PNG, to be laid over the picture at its size.

    A browser enlarges it smoothly, so it stays as small as the map is: about 200 bytes.

    Args:
        cam: (high, wide), 0 to 1: 0 is clear, 1 is mostly covered.
    """
    from PIL import Image

    strength = cam[..., None]
    pale, deep = np.array([255, 214, 0]), np.array([226, 32, 32])
    colour = pale + (deep - pale) * strength  # (high, wide, 3)
    layer = np.concatenate([colour, 130 * strength], axis=2)
    return encode_image(Image.fromarray(np.rint(layer).astype(np.uint8)), "PNG", optimize=True)

"""The pictures of the report, each with the place that speaks for the model's answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.evaluate.checks.gradcam import GradCam, Sanity
from components.evaluate.metrics.metrics import find_confusions
from components.evaluate.report.pictures import (
    Shown,
    choose_for_cells,
    encode_map,
    encode_picture,
    find_of_pair,
    find_typical_hits,
    find_worst_mistakes,
    read_pictures,
    show,
)

PAIRS_SHOWN, PER_PAIR, HITS_SHOWN = 4, 4, 12


@dataclass(frozen=True)
class Gallery:
    """Which images are shown where, and the pictures and maps themselves."""

    mistakes: list[Shown]
    pairs: list[tuple[str, str, list[Shown]]]  # actual, predicted, images
    hits: list[Shown]
    cells: dict[tuple[int, int], list[Shown]]  # (label, predicted) →
    pictures: dict[str, str]  # path → data URI
    maps: dict[str, str]  # path → data URI
    small: dict[str, str]  # path → data URI, for the cells


@dataclass(frozen=True)
class Choice:
    """What to look at, before anything is read."""

    mistakes: list[Shown]
    pairs: list[tuple[str, str, list[Shown]]]
    hits: list[Shown]
    cells: dict[tuple[int, int], list[int]]

    @property
    def explained(self) -> list[Shown]:
        """The images that get a map, each once."""
        shown = [*self.mistakes, *self.hits, *(one for pair in self.pairs for one in pair[2])]
        return list({one.path: one for one in shown}.values())


def choose_images(predictions: Predictions, mistakes_shown: int) -> Choice:
    """Choose the worst mistakes, the pairs most confused, typical hits, and images of cells."""
    pairs = [
        (one.actual, one.predicted, find_of_pair(predictions, one.actual, one.predicted, PER_PAIR))
        for one in find_confusions(predictions, PAIRS_SHOWN)
    ]
    return Choice(
        mistakes=find_worst_mistakes(predictions, mistakes_shown),
        pairs=pairs,
        hits=find_typical_hits(predictions, HITS_SHOWN),
        cells=choose_for_cells(predictions),
    )


def create_gallery(
    predictions: Predictions,
    choice: Choice,
    network: Any,
    shards: Path,
    also: list[str],
) -> tuple[Gallery, Sanity, dict[str, np.ndarray]]:
    """Read the chosen images, explain them, and make pictures of them.

    Args:
        predictions: of the split.
        choice: of :func:`choose_images`.
        network: pixels → … → logits.
        shards: folder of the shards.
        also: paths of images whose pixels are wanted for other ends, read in the same pass.

    Returns:
        The gallery, the outcome of the sanity check of its maps, and path → pixels.
    """
    explained = choice.explained
    cells = {cell: [show(predictions, i) for i in some] for cell, some in choice.cells.items()}
    small = {one.path for some in cells.values() for one in some}
    pixels, thumbnails = read_pictures(shards, {*(o.path for o in explained), *also}, small)
    stack = np.stack([pixels[one.path] for one in explained])
    classes = predictions.predicted[[one.position for one in explained]]
    cam = GradCam(network)
    maps = cam.compute_maps(stack, classes)
    gallery = Gallery(
        mistakes=choice.mistakes,
        pairs=choice.pairs,
        hits=choice.hits,
        cells=cells,
        pictures={one.path: encode_picture(pixels[one.path]) for one in explained},
        maps={one.path: encode_map(a) for one, a in zip(explained, maps, strict=True)},
        small=thumbnails,
    )
    return gallery, cam.check_sanity(stack, classes), pixels

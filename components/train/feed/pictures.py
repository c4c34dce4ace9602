"""A picture of what the network sees: training images, each with augmented versions of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from components.common.files.writing import writing
from components.common.shards.examples import Examples
from components.train.feed.batches import Feed, create_order
from components.train.feed.material import Material

ROWS, COLUMNS, GAP_PX, LARGEST_PX = 6, 8, 4, 128


def write_augmented(file: Path, material: Material) -> None:
    """Write a grid: in each row an image as it is, then as the first epochs see it.

    Args:
        file: PNG file.
        material: of the second phase.
    """
    train, own = material.train, replace(material.recipe, process=0, processes=1, passes=1)
    rows = create_order(train.labels, own, 1)[: min(ROWS, own.finetune.batch_size)]
    few = choose_examples(train, rows)
    versions, feed = [few.pixels], Feed(few, own)
    columns = COLUMNS if own.finetune.epochs else 1  # without a second phase nobody changes them
    for epoch in range(1, columns):
        order = create_order(few.labels, own, epoch)[: len(rows)]
        pixels = feed.make_batch(epoch, 0)[0].numpy()[: len(rows)]
        placed = few.pixels.copy()  # a batch has an order of its own
        placed[order] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        versions.append(placed)
    with writing(file) as temporary:
        draw_grid(np.stack(versions, axis=1)).save(temporary)


def choose_examples(examples: Examples, rows: np.ndarray) -> Examples:
    """Return some of the examples."""
    return Examples(
        examples.pixels[rows],
        examples.labels[rows],
        [examples.paths[row] for row in rows],
        [examples.sha256[row] for row in rows],
    )


def draw_grid(pixels: np.ndarray) -> Image.Image:
    """Return images (rows, columns, size, size, 3), uint8, as one picture on white."""
    rows, columns, size = pixels.shape[:3]
    side = min(size, LARGEST_PX)
    grid = Image.new(
        "RGB", (columns * (side + GAP_PX) + GAP_PX, rows * (side + GAP_PX) + GAP_PX), "white"
    )
    for row in range(rows):
        for column in range(columns):
            tile = Image.fromarray(pixels[row, column]).resize((side, side))
            grid.paste(tile, (GAP_PX + column * (side + GAP_PX), GAP_PX + row * (side + GAP_PX)))
    return grid

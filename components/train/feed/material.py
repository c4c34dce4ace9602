"""What both phases work with: the images that are learnt from and judged by, and the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.shards.examples import Examples
from components.train.feed.recipe import Recipe


@dataclass(frozen=True)
class Material:
    """Two splits and what is done with them."""

    train: Examples
    val: Examples  # chooses the probe's penalty and the epoch that is kept
    recipe: Recipe

    @property
    def batch_size(self) -> int:
        """Images in one step, of all machines together."""
        return self.recipe.batch_size(len(self.train.labels))

    @property
    def size_px(self) -> int:
        """Side of the images, pixels."""
        return int(self.train.pixels.shape[1])

    @property
    def common(self) -> float:
        """Share of the images of both splits that are of the most common class."""
        labels = np.concatenate([self.train.labels, self.val.labels])
        return float(np.bincount(labels).max() / len(labels))

    @property
    def images(self) -> int:
        """Images that one epoch shows, those that come again counted again."""
        return len(self.train.labels) * self.recipe.passes

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return self.recipe.count_steps(len(self.train.labels))

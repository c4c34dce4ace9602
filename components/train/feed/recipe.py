"""The recipe of a training: optimisation and augmentation together, as the field calls it."""

from __future__ import annotations

from dataclasses import dataclass

from components.train.spec import Augment, Finetune


@dataclass(frozen=True)
class Recipe:
    """All that decides what the second phase does."""

    finetune: Finetune
    augment: Augment
    flip: bool  # whether images are mirrored
    seed: int
    classes: int
    process: int = 0  # which rows of each batch are made here …
    processes: int = 1  # … of so many equal parts
    devices: int = 1  # that a batch is split over, of all processes together
    passes: int = 1  # over the images in one epoch: a few images make no epoch worth judging

    def count_steps(self, images: int) -> int:
        """Return the steps of one epoch; the last batch is filled up from its beginning."""
        return -(-images * self.passes // self.batch_size(images))

    def batch_size(self, images: int) -> int:
        """Return the images in one step: as set, or as many as there are."""
        size, parts = min(self.finetune.batch_size, images), max(self.devices, self.processes)
        return max(parts, size // parts * parts)

"""What each rival of benchmarks/peers.py is told, and how it answers; standard library alone."""

from __future__ import annotations

import argparse
import csv
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BATCH_SIZE = 32
# Of the ways that leave it to their user: as many as Darkroom makes (docs/recipe.md), so that few
# images are no handicap for who trains by epochs.
EPOCHS, STEPS = 8, 280


@dataclass(frozen=True)
class Task:
    """The photos of a set, and what holds for every rival."""

    photos: Path  # train/, val/ and test/, class folders in each
    size_px: int
    seed: int
    flip: bool  # whether a mirrored photo is of the same class
    minutes: float  # for those that ask how long they may take

    @property
    def epochs(self) -> int:
        """How often a rival sees the training images, where its user decides."""
        steps = math.ceil(len(self.list_images("train")) / BATCH_SIZE)
        return max(EPOCHS, round(STEPS / steps))

    def list_images(self, split: str) -> list[Path]:
        """Return the files of a split, in the order of their names."""
        return sorted(file for file in (self.photos / split).glob("*/*") if file.is_file())

    def list_classes(self) -> list[str]:
        """Return the class names, in the order of their folders."""
        return sorted(folder.name for folder in (self.photos / "train").iterdir())


Way = Callable[[Task], Iterable[str]]  # trains, then names the test images in the order of a task


def run_way(ways: Mapping[str, Way]) -> None:
    """Train as the command line says, and write what the test images are called."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=ways)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--size-px", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--answers", type=Path, required=True, help="CSV file: path, label")
    flags = parser.parse_args()
    task = Task(flags.photos, flags.size_px, flags.seed, flags.flip, flags.minutes)
    names = list(ways[flags.way](task))
    images = task.list_images("test")
    with flags.answers.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "label"])
        table.writerows(zip(map(os.fspath, images), names, strict=True))

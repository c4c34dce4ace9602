"""Is the model better than what costs less: the probe, and always the same answer?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.predictions import Predictions
from components.common.statistics.paired import Comparison, compare
from components.common.statistics.shares import Sampling

PROBE, MAJORITY = "probe", "majority"
MOST_PATHS = 200  # listed of the images that are won or lost


@dataclass(frozen=True)
class Rival:
    """Another way to name the same images, and the comparison with it."""

    name: str
    about: str
    accuracy: float
    comparison: Comparison
    won: list[str]  # paths of images that the model names and the rival does not
    lost: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the form of metrics.json: numbers by name, then lists of paths."""
        numbers = asdict(self.comparison)
        numbers["difference_interval"] = [numbers.pop("low"), numbers.pop("high")]
        return {
            "name": self.name,
            "about": self.about,
            "accuracy": self.accuracy,
            **numbers,
            "won_paths": self.won,
            "lost_paths": self.lost,
        }


def compare_with_rivals(
    predictions: Predictions,
    probe: Predictions,
    dataset: Dataset,
    sampling: Sampling,
) -> list[Rival]:
    """Return the comparison with the probe and with the majority class of the training split."""
    counts = dataset.splits["train"].examples_per_class
    name = max(dataset.class_names, key=lambda one: counts.get(one, 0))
    always = predictions.labels == dataset.class_names.index(name)
    rivals = (
        (PROBE, "a linear head on the frozen, pretrained network", probe.correct),
        (MAJORITY, f"always {name}, the most frequent class of the training images", always),
    )
    found = []
    for rival, about, hits in rivals:
        won, lost = predictions.correct & ~hits, ~predictions.correct & hits
        found.append(
            Rival(
                name=rival,
                about=about,
                accuracy=float(np.mean(hits)),
                comparison=compare(predictions.correct, hits, sampling.groups, sampling.level),
                won=[predictions.paths[i] for i in np.flatnonzero(won)[:MOST_PATHS]],
                lost=[predictions.paths[i] for i in np.flatnonzero(lost)[:MOST_PATHS]],
            )
        )
    return found

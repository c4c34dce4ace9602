"""How often intervals hold the truth, on test splits as people have them.

    python benchmarks/coverage.py

Test splits are drawn from a known population, again and again; the 95 % intervals should hold the
population's figures 93 to 97 % of the time, or say that there are too few images. The classes are
not equally hard. `told` is the share of test splits that got an interval.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.artifacts.metrics import list_figures
from components.common.artifacts.predictions import Predictions
from components.common.statistics.shares import Sampling
from components.evaluate.metrics.intervals import compute_intervals
from components.evaluate.metrics.metrics import compute_class_scores, compute_figures

POPULATION = 400_000
SHARPNESS = 2.0


@dataclass(frozen=True)
class Design:
    """A kind of test split."""

    name: str
    images: tuple[int, ...]  # of each class
    skill: float  # how far the logit of the true class lies above the others
    group: int = 1  # images that are much alike


DESIGNS = (
    Design("20 x 5, poor", (5,) * 20, 2.0),
    Design("20 x 5, good", (5,) * 20, 4.0),
    Design("50 x 10, poor", (10,) * 50, 2.0),
    Design("50 x 10, good", (10,) * 50, 4.5),
    Design("1 : 50, 10 rare", (10, 500), 2.0),
    Design("1 : 50, 10 rare, good", (10, 500), 3.0),
    Design("1 : 50, 40 rare", (40, 2000), 2.0),
    Design("5 x 100, good", (100,) * 5, 4.0),
    Design("60 groups of 10", (120,) * 5, 2.0, 10),
    Design("60 groups of 10, good", (120,) * 5, 3.0, 10),
    Design("200 groups of 10", (400,) * 5, 3.0, 10),
)


def draw(labels: np.ndarray, skills: np.ndarray, group: int, seed: int) -> Predictions:
    """Return predictions of a model that is a little too sure of itself."""
    random = np.random.default_rng(seed)
    images, classes = len(labels), len(skills)
    logits = random.normal(0, 1, (images, classes))
    if group > 1:
        common = random.normal(0, 1, (-(-images // group), classes)).repeat(group, axis=0)
        logits = np.sqrt(0.8) * common[:images] + np.sqrt(0.2) * logits
    logits[np.arange(images), labels] += skills[labels]
    table = np.exp(SHARPNESS * (logits - logits.max(axis=1, keepdims=True)))
    table /= table.sum(axis=1, keepdims=True)
    names = [str(i) for i in range(classes)]
    every = [""] * images
    return Predictions(names, every, every, labels, logits.astype(np.float32), table)


def measure(design: Design, repeats: int, resamples: int) -> None:
    """Print how often the intervals hold the figures of the population."""
    classes = len(design.images)
    skills = design.skill + 0.5 * np.random.default_rng(1).normal(0, 1, classes)
    labels = np.repeat(np.arange(classes), design.images)
    whole = np.repeat(
        np.arange(classes), [POPULATION // len(labels) * one for one in design.images]
    )
    population = draw(whole, skills, 1, 10**6)
    truth = list_figures(compute_figures(population, 2))
    per_class = [asdict(one) for one in compute_class_scores(population, [{}] * classes)]
    held: dict[str, list[int]] = {}
    groups = np.arange(len(labels)) // design.group

    def count(name: str, value: float, ends: tuple[float, float] | None) -> None:
        found = held.setdefault(name, [0, 0, 0])
        found[0] += 1
        if ends is not None:
            found[1] += 1
            found[2] += ends[0] <= value <= ends[1]

    for seed in range(repeats):
        drawn = draw(labels, skills, design.group, seed)
        found = compute_intervals(drawn, Sampling(groups, 0.95, resamples), 2)
        for name, value in truth.items():
            if name != "top_k.k":
                count(name, value, found.overall.get(name))
        for known, own in zip(per_class, found.classes, strict=True):
            for name in ("recall", "precision", "f1", "roc_auc", "average_precision"):
                count(f"a class's {name}", known[name], own.get(name))
    print(f"\n{design.name}: {repeats} test splits, accuracy {truth['accuracy']:.3f}")
    for name, (asked, told, hits) in held.items():
        share = f"{hits / told:6.1%}" if told else "     –"
        print(f"  {name:<28}{share}   told {told / asked:4.0%}")


def main() -> None:
    """Print all designs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400, help="test splits that are drawn")
    parser.add_argument("--resamples", type=int, default=300, help="of the bootstrap")
    parser.add_argument("--only", default="", help="designs whose name holds this")
    flags = parser.parse_args()
    for design in DESIGNS:
        if flags.only in design.name:
            measure(design, flags.repeats, flags.resamples)


if __name__ == "__main__":
    main()

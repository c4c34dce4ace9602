"""What evaluate costs, and whether its intervals hold the truth.

python benchmarks/evaluate.py

1. Coverage: test splits drawn from a known population, again and again; the 95 % intervals should
   hold the population's figures 93 to 97 % of the time.
2. The statistics of 10,000 images of 10 classes, and the seconds they take.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.artifacts.predictions import Predictions
from components.common.statistics.shares import Sampling
from components.evaluate.metrics.intervals import compute_intervals
from components.evaluate.metrics.metrics import (
    compute_class_scores,
    compute_figures,
    create_metrics,
)

CLASSES = 5


def draw(images: int, classes: int, seed: int, sharpness: float = 2.5) -> Predictions:
    """Return predictions of a model of middling skill; 2: calibrated, above: too sure of itself."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(0, 1, (images, classes))
    logits[np.arange(images), labels] += 2.0
    table = np.exp(sharpness * logits)
    table /= table.sum(axis=1, keepdims=True)
    return Predictions(
        class_names=[str(i) for i in range(classes)],
        paths=[str(i) for i in range(images)],
        sha256=[""] * images,
        labels=labels,
        logits=logits.astype(np.float32),
        probabilities=table,
    )


def measure_coverage(images: int, repeats: int, resamples: int, sharpness: float) -> None:
    """Print how often the intervals hold the figures of the population."""
    population = draw(1_000_000, CLASSES, 10**6, sharpness)
    truth = compute_figures(population, 2)
    classes = [asdict(one) for one in compute_class_scores(population, [{}] * CLASSES)]
    held: dict[str, list[bool]] = {}

    def count(name: str, value: float, ends: tuple[float, float]) -> None:
        held.setdefault(name, []).append(ends[0] <= value <= ends[1])

    for seed in range(repeats):
        sampling = Sampling(np.arange(images), 0.95, resamples)
        found = compute_intervals(draw(images, CLASSES, seed, sharpness), sampling, 2)
        for name, ends in found.overall.items():
            head, _, tail = name.partition(".")
            count(name, truth[head][tail] if tail else truth[head], ends)
        for known, own in zip(classes, found.classes, strict=True):
            for name, ends in own.items():
                count(f"a class's {name}", known[name], ends)
    print(f"{repeats} test splits of {images:,} images, {resamples} resamples")
    for name, hits in sorted(held.items()):
        print(f"  {name:<28}{np.mean(hits):7.1%}")


def measure_time(images: int, classes: int) -> None:
    """Print what all figures and intervals cost."""
    found = draw(images, classes, 0)
    watch = time.perf_counter()
    create_metrics(found, "", Sampling(np.arange(images), 0.95, 1000), 5)
    seconds = time.perf_counter() - watch
    print(f"figures and intervals of {images:,} images, {classes} classes: {seconds:.1f} s")


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000, help="test splits that are drawn")
    parser.add_argument("--images", type=int, default=500, help="images in each")
    parser.add_argument("--resamples", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--sharpness", type=float, default=2.5, help="2 is calibrated")
    flags = parser.parse_args()
    measure_time(10_000, 10)
    measure_coverage(flags.images, flags.repeats, flags.resamples, flags.sharpness)


if __name__ == "__main__":
    main()

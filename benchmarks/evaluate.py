"""The seconds that figures and intervals of many test images take.

    python benchmarks/evaluate.py [--images 10000] [--classes 10]

coverage.py sees whether the intervals hold the truth, report.py what the whole stage costs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.artifacts.predictions import Predictions
from components.common.statistics.shares import Sampling
from components.common.terminal import exit_on_error
from components.evaluate.metrics.metrics import create_metrics


def draw(images: int, classes: int) -> Predictions:
    """Return predictions of a model of middling skill that is a little too sure of itself."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, images)
    logits = random.normal(0, 1, (images, classes))
    logits[np.arange(images), labels] += 2.0
    table = np.exp(2.5 * logits)
    table /= table.sum(axis=1, keepdims=True)
    return Predictions(
        class_names=[str(i) for i in range(classes)],
        paths=[str(i) for i in range(images)],
        sha256=[""] * images,
        labels=labels,
        logits=logits.astype(np.float32),
        probabilities=table,
    )


def measure_time(images: int, classes: int) -> None:
    """Print what all figures and intervals cost."""
    found = draw(images, classes)
    watch = time.perf_counter()
    create_metrics(found, "", Sampling(np.arange(images), 0.95, 1000), 5)
    seconds = time.perf_counter() - watch
    print(f"figures and intervals of {images:,} images, {classes} classes: {seconds:.1f} s")


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=10)
    flags = parser.parse_args()
    measure_time(flags.images, flags.classes)


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

"""How often the interval of the fine-tuned network's curve holds, on stand-ins that train at once.

    python benchmarks/curve_laws.py

A curve of fine-tuning costs four trainings, far too many for statistics. Here the digits of
scikit-learn, as pixels, are learnt by a support vector machine, a random forest, a logistic
regression on six axes, and a small network: the first two are ever better with more images, the
third is soon at rest, and the last makes so many passes: with more images it is trained longer. A
third of the images is the test, the rest is halved; a half, or 250 images of it, gives the curve as
train reckons it, a fifth of it judging. Then as many images of the other half come on top.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.terminal import exit_on_error
from components.train.probe.part_fits import forecast
from components.train.probe.scarce import draw_curves
from components.train.records.parts import choose_parts

AXES, VAL, PASSES = 6, 5, 120


def main() -> None:
    """Print a line for each stand-in and size."""
    from sklearn.datasets import load_digits

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=60)
    flags = parser.parse_args()
    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # it ends as soon as it should
    pixels, labels = load_digits(return_X_y=True)
    print(f"{'stand-in':<24}{'images':>7}{'said':>8}{'seen':>8}{'width':>8}{'held':>7}")
    for name, create in create_stand_ins(pixels / 16).items():
        for most in (len(labels), 250):
            found = [try_half(pixels / 16, labels, create, most, s) for s in range(flags.seeds)]
            said, low, high, seen = np.array(found).T
            held = ((low <= seen) & (seen <= high)).mean()
            print(
                f"{name:<24}{min(most, len(labels) // 3):>7}{100 * said.mean():>8.2f}"
                f"{100 * seen.mean():>8.2f}{100 * (high - low).mean():>8.2f}{held:>7.0%}",
                flush=True,
            )


def create_stand_ins(pixels: np.ndarray) -> dict[str, Callable[[int], Any]]:
    """Return what makes a model of a seed, by its name.

    Args:
        pixels: of all images, whose main axes one of them knows.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.svm import SVC

    axes = PCA(AXES, svd_solver="full").fit(pixels)
    return {
        "support vectors": lambda _: SVC(C=10, gamma=1 / 9),
        "random forest": lambda seed: RandomForestClassifier(100, random_state=seed),
        "six axes": lambda _: make_pipeline(
            FunctionTransformer(axes.transform), LogisticRegression(C=10, max_iter=500)
        ),
        "network, so many passes": lambda seed: MLPClassifier(
            (64,), max_iter=PASSES, random_state=seed
        ),
    }


def try_half(
    pixels: np.ndarray, labels: np.ndarray, create: Callable[[int], Any], most: int, seed: int
) -> tuple[float, float, float, float]:
    """Return what was said of a half, with its interval, and what the test then showed."""
    mixed, third = np.random.default_rng(seed).permutation(len(labels)), len(labels) // 3
    test, half, rest = mixed[:third], mixed[third : 2 * third], mixed[2 * third :]
    half, rest = half[:most], rest[: min(most, third)]
    val, train = np.split(half, [len(half) // VAL])
    parts = choose_parts(labels[train], np.arange(len(train)), np.random.default_rng((seed, 0)))
    parts.append(np.arange(len(train)))

    def find_wrong(learnt: np.ndarray, judged: np.ndarray, luck: int) -> np.ndarray:
        model = create(luck).fit(pixels[learnt], labels[learnt])
        return np.asarray(model.predict(pixels[judged]) != labels[judged], float)

    wrong = np.stack([find_wrong(train[rows], val, seed) for rows in parts])
    sizes = np.array([len(rows) for rows in parts])
    curves = draw_curves(sizes, wrong, np.arange(len(val)), seed)
    said = forecast(curves.laws, len(train), len(train), curves.flips, len(test))[1]
    both = np.concatenate([train, rest[len(val) :]])
    now, then = find_wrong(train, test, seed), find_wrong(both, test, seed + 1000)
    return said.value, said.low, said.high, float(now.mean() - then.mean())


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

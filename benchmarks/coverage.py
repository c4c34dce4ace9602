"""How often intervals hold the truth, on test splits as people have them.

    python benchmarks/coverage.py

Test splits are drawn from known populations, again and again; the 95 % intervals should hold the
population's figures 93 to 97 % of the time, or say that there are too few images. The classes are
not equally hard. `told` is the share of test splits that got an interval; `few`: next to none did.

A figure of few images takes few values, so how often its interval holds the truth jumps with the
truth: of 510 images and an accuracy of 0.988 in 93.8 % of test splits, of 0.993 in 97.1 %.
No method is without such jumps. So each design is drawn from several populations, whose classes are
a little easier and a little harder, and all their test splits are counted together; `worst` is the
population that fared worst. How deep the jumps of a share are is reckoned without chance:

    python benchmarks/coverage.py --shares
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
from components.common.statistics.shares import Sampling, compute_share_ends, compute_wilson
from components.common.terminal import exit_on_error
from components.evaluate.metrics.intervals import compute_intervals
from components.evaluate.metrics.metrics import compute_class_scores, compute_figures

POPULATION = 200_000
SHARPNESS = 2.0
JITTER = 0.2  # of the skill in a class, from population to population
LEAST_TOLD = 0.01  # of the test splits; of fewer it says that an interval is not to be had


@dataclass(frozen=True)
class Design:
    """A kind of test split."""

    name: str
    images: tuple[int, ...]  # of each class
    skill: float  # how far the logit of the true class lies above the others
    group: int = 1  # images that are much alike
    mislabelled: float = 0.0  # share of the images whose label is wrong


DESIGNS = (
    Design("20 x 5, poor", (5,) * 20, 2.0),
    Design("20 x 5, good", (5,) * 20, 4.0),
    Design("50 x 10, poor", (10,) * 50, 2.0),
    Design("50 x 10, good", (10,) * 50, 4.5),
    Design("1 : 50, 10 rare", (10, 500), 2.0),
    Design("1 : 50, 10 rare, good", (10, 500), 3.0),
    Design("1 : 50, 40 rare", (40, 2000), 2.0),
    Design("1 : 50, 40 rare, good", (40, 2000), 3.0),
    Design("3 x 100", (100,) * 3, 2.5),
    Design("5 x 100, good", (100,) * 5, 4.0),
    Design("5 x 100, 1 % mislabelled", (100,) * 5, 4.0, mislabelled=0.01),
    Design("150 groups of 3", (90,) * 5, 3.0, 3),
    Design("60 groups of 10", (120,) * 5, 2.0, 10),
    Design("60 groups of 10, good", (120,) * 5, 3.0, 10),
    Design("200 groups of 10", (400,) * 5, 3.0, 10),
)


def draw(
    labels: np.ndarray, skills: np.ndarray, seed: int, group: int = 1, mislabelled: float = 0.0
) -> Predictions:
    """Return predictions of a model that is a little too sure of itself."""
    random = np.random.default_rng(seed)
    images, classes = len(labels), len(skills)
    logits = random.normal(0, 1, (images, classes))
    if group > 1:
        common = random.normal(0, 1, (-(-images // group), classes)).repeat(group, axis=0)
        logits = np.sqrt(0.8) * common[:images] + np.sqrt(0.2) * logits
    shown = labels.copy()
    if mislabelled:
        wrong = random.random(images) < mislabelled
        shown[wrong] = random.integers(0, classes, wrong.sum())
    logits[np.arange(images), shown] += skills[shown]
    table = np.exp(SHARPNESS * (logits - logits.max(axis=1, keepdims=True)))
    table /= table.sum(axis=1, keepdims=True)
    names = [str(i) for i in range(classes)]
    every = [""] * images
    return Predictions(names, every, every, labels, logits.astype(np.float32), table)


@dataclass(frozen=True)
class Truth:
    """A population: how easy its classes are, and its figures."""

    skills: np.ndarray
    figures: dict[str, float]  # dotted name →
    classes: list[dict[str, float]]  # of each class: name →


def create_population(design: Design, seed: int) -> Truth:
    """Return a population of the design; seed 0: the one in the middle."""
    classes = len(design.images)
    skills = design.skill + 0.5 * np.random.default_rng(1).normal(0, 1, classes)
    if seed:
        skills += np.random.default_rng(seed).uniform(-JITTER, JITTER, classes)
    share = max(1, POPULATION // sum(design.images))
    labels = np.repeat(np.arange(classes), [share * one for one in design.images])
    population = draw(labels, skills, 10**6 + seed, mislabelled=design.mislabelled)
    scores = compute_class_scores(population, [{}] * classes)
    figures = list_figures(compute_figures(population, 2))
    figures.pop("top_k.k", None)
    return Truth(skills, figures, [asdict(one) for one in scores])


def measure(design: Design, populations: int, repeats: int, resamples: int) -> None:
    """Print how often the intervals hold the figures of the populations."""
    labels = np.repeat(np.arange(len(design.images)), design.images)
    groups = np.arange(len(labels)) // design.group
    held: dict[str, np.ndarray] = {}  # asked, told, right; (populations, 3)
    accuracies = []
    for place in range(populations):
        truth = create_population(design, place)
        accuracies.append(truth.figures["accuracy"])

        def count(
            name: str, value: float, ends: tuple[float, float] | None, place: int = place
        ) -> None:
            found = held.setdefault(name, np.zeros((populations, 3), int))[place]
            found += (1, ends is not None, ends is not None and ends[0] <= value <= ends[1])

        for seed in range(repeats):
            drawn = draw(
                labels, truth.skills, place * repeats + seed, design.group, design.mislabelled
            )
            found = compute_intervals(drawn, Sampling(groups, 0.95, resamples), 2)
            for name, value in truth.figures.items():
                count(name, value, found.overall.get(name))
            for known, own in zip(truth.classes, found.classes, strict=True):
                for name in ("recall", "precision", "f1", "roc_auc", "average_precision"):
                    count(f"a class's {name}", known[name], own.get(name))
    splits, (low, high) = populations * repeats, (min(accuracies), max(accuracies))
    print(f"\n{design.name}: {splits} test splits, accuracy {low:.3f} to {high:.3f}")
    for name, each in held.items():
        asked, told, right = each.sum(axis=0)
        told = told if told >= LEAST_TOLD * asked else 0
        share = f"{right / told:6.1%}" if told else "   few"
        shares = each[:, 2] / np.maximum(each[:, 1], 1)
        worst = f"{shares[each[:, 1] > 0].min():6.1%}" if told else "     –"
        print(f"  {name:<28}{share}   worst {worst}   told {told / asked:4.0%}")
    sys.stdout.flush()


def measure_shares() -> None:
    """Print how often the interval of a share holds it, by how many mistakes are expected.

    Reckoned without chance from the binomial distribution, for shares of images without groups.
    """
    from scipy.stats import binom

    print("mistakes expected   ours: mean, least, most      Wilson's: mean, least, most")
    for low, high in ((0.02, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 8)):
        lines = []
        for compute in (compute_share_ends, compute_wilson):
            held = []
            for images in (20, 50, 100, 510, 2040):
                truth = 1 - np.linspace(low, high, 200)[:, None] / images
                hits = np.arange(images + 1)
                ends = np.array([compute(one / images, images, 0.95) for one in hits])
                within = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
                held.append((binom.pmf(hits, images, truth) * within).sum(axis=1))
            lines.append(f"{np.mean(held):6.1%} {np.min(held):6.1%} {np.max(held):6.1%}")
        print(f"{low:6g} to {high:<4g}      {'          '.join(lines)}")


def main() -> None:
    """Print all designs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--populations", type=int, default=10, help="of each design")
    parser.add_argument("--repeats", type=int, default=100, help="test splits of each population")
    parser.add_argument("--resamples", type=int, default=200, help="of the bootstrap")
    parser.add_argument("--only", nargs="*", default=[""], help="designs whose name holds one")
    parser.add_argument("--shares", action="store_true", help="reckon that of shares, draw nothing")
    flags = parser.parse_args()
    if flags.shares:
        measure_shares()
        return
    for design in DESIGNS:
        if any(one in design.name for one in flags.only):
            measure(design, flags.populations, flags.repeats, flags.resamples)


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

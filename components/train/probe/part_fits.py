"""Errors of probes that learnt from fewer images, of all classes or of one; laws through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.common.host import limit_blas
from components.common.statistics.bootstrap import draw_weights
from components.train.probe.folds import deal
from components.train.probe.heads import Way, find_spread, fit_way
from components.train.probe.power_law import EXPONENTS, Estimate, Laws, estimate, fit_laws

FOLDS = 5
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the images of four folds
DOUBLED_AT = (2, 3)  # which of them: a quarter and half
DRAWS = 1000
# Of 1,280 features of 1,074 photos: a fit took 0.04 s in place of 0.16, for 0 to 1.4 points less.
AXES = 512


@dataclass(frozen=True)
class Pool:
    """The images that a curve is measured with."""

    features: np.ndarray  # (images, channels)
    labels: np.ndarray  # (images,), 0 to classes - 1
    groups: np.ndarray  # (images,) numbers; those of one stay together
    class_names: Sequence[str]

    def take(self, rows: np.ndarray) -> Pool:
        """Return some of the images."""
        return replace(
            self, features=self.features[rows], labels=self.labels[rows], groups=self.groups[rows]
        )

    def count_work(self, images: float) -> float:
        """Return what it takes to fit probes on so many images in all."""
        return images * min(AXES, self.features.shape[1]) * len(self.class_names)


@dataclass(frozen=True)
class Measured:
    """How often each image was named wrongly by probes that had not seen its group."""

    sizes: np.ndarray  # images learnt, of all or of the class, (points,)
    wrong: np.ndarray  # share of the rounds, (points, images); NaN: never judged
    first: np.ndarray  # of the first round, (points, images)
    flips: float  # share of images that are named rightly by one of the last two and wrongly by one
    spread: np.ndarray  # of the points about a smooth curve, standard deviation, (points,)


@dataclass(frozen=True)
class Curves:
    """Curves that may all be true."""

    sizes: np.ndarray  # images learnt, (points,), rising
    seen: np.ndarray  # errors as they were measured, (points,)
    errors: np.ndarray  # as they might have been, (draws, points)
    laws: Laws  # through them
    flips: float  # see Measured


def reduce_features(pool: Pool, way: Way) -> tuple[Pool, Way]:
    """Return the images on the main axes of their features, and the way that is left to fit them.

    Turning changes no fit under an L2 penalty; what lies beyond the first AXES hardly any. What is
    standardised is so beforehand: on the axes it would be another thing.
    """
    features = pool.features - pool.features.mean(axis=0)
    if way.standardised:
        features /= find_spread(features)
    if features.shape[1] > AXES:
        with limit_blas(features.size * features.shape[1]):
            _, axes = np.linalg.eigh(features.T @ features)
            features = features @ axes[:, -AXES:]
    kept = replace(way, standardised=False, temperature=1.0)  # which changes no answer
    return replace(pool, features=features), kept


def order_nested(labels: np.ndarray, groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the images in an order of which each beginning has the mixture of all.

    Groups come one after the other, whole, each by its first image's class.

    Args:
        labels: (images,).
        groups: (images,) numbers.
        random: of the order.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of = labels[first]  # class of each group
    place = np.empty(len(first))
    for label in np.unique(of):
        own = np.flatnonzero(of == label)
        place[own] = (random.permutation(len(own)) + random.random()) / len(own)
    return np.lexsort((random.random(len(labels)), group, place[group]))


def measure_all(pool: Pool, way: Way, seed: int, rounds: int) -> Measured:
    """Return the errors of probes of fewer images of all classes."""
    wrong = np.full((rounds, len(SHARES), len(pool.labels)), np.nan)
    sizes = np.zeros(len(SHARES))
    for round_ in range(rounds):
        random = np.random.default_rng((seed, round_))
        for fitted, judged in deal(pool.labels, pool.groups, FOLDS, seed + round_):
            nested = fitted[order_nested(pool.labels[fitted], pool.groups[fitted], random)]
            for i, share in enumerate(SHARES):
                rows = nested[: max(2, round(share * len(nested)))]
                wrong[round_, i, judged] = judge(pool, way, rows, judged)
                sizes[i] += len(rows)
    return _sum_up(sizes / (rounds * FOLDS), wrong)


def measure_class(
    pool: Pool, way: Way, label: int, whole: Measured, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what twice the images of one class bring where there are fewer of all.

    Extrapolating the curve of a class alone says too much: with fewer of its images than are due
    answers are lost, with more they are taken from its neighbours. So it is doubled within parts,
    where that can be measured.

    Args:
        pool: the images.
        way: in which heads are fitted.
        label: the class.
        whole: of :func:`measure_all`.
        seed: that of :func:`measure_all`.

    Returns:
        How much less often each image is named wrongly, -1, 0 or 1, (DOUBLED_AT, images), NaN where
        it was not judged; and how often it is with all images, (images,).
    """
    after = np.full((len(DOUBLED_AT), len(pool.labels)), np.nan)
    random = np.random.default_rng((seed, 0))  # the parts of the first round
    for fitted, judged in deal(pool.labels, pool.groups, FOLDS, seed):
        nested = fitted[order_nested(pool.labels[fitted], pool.groups[fitted], random)]
        for i, point in enumerate(DOUBLED_AT):
            cut = max(2, round(SHARES[point] * len(nested)))
            further = nested[cut : 2 * cut]
            own = further[pool.labels[further] == label]
            rows = np.concatenate([nested[:cut], own])
            after[i, judged] = judge(pool, way, rows, judged)
    return whole.first[list(DOUBLED_AT)] - after, whole.first[-1]


def judge(pool: Pool, way: Way, rows: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Return which of the judged images a probe of some rows names wrongly, 0 or 1."""
    known = np.unique(pool.labels[rows])
    if len(known) < 2:
        return np.asarray(pool.labels[judged] != known[0], float)
    head = fit_way(way, pool.features[rows], pool.labels[rows], len(pool.class_names))
    answers = head.compute_logits(pool.features[judged]).argmax(axis=1)
    return np.asarray(answers != pool.labels[judged], float)


def _sum_up(sizes: np.ndarray, wrong: np.ndarray) -> Measured:
    """Return the errors of all rounds, (rounds, points, images), put together."""
    seen = ~np.isnan(wrong).any(axis=(0, 1))
    last = wrong[:, -2:][:, :, seen]
    flips = float((last[:, 0] != last[:, 1]).mean())
    # Two neighbouring points judge the same images: what tells them apart by luck is how many
    # answers change, not how many are wrong.
    changes = (np.diff(wrong[:, :, seen], axis=1) ** 2).mean(axis=(0, 2))  # (points - 1,)
    changes = np.concatenate([changes[:1], (changes[1:] + changes[:-1]) / 2, changes[-1:]])
    spread = np.sqrt((changes / 2 + 1e-6) / seen.sum() / len(wrong))
    return Measured(sizes, wrong.mean(axis=0), wrong[0], flips, spread)


def draw_curves(measured: Measured, pool: Pool, seed: int) -> Curves:
    """Return curves through resampled errors."""
    seen = np.flatnonzero(~np.isnan(measured.wrong).any(axis=0))
    wrong = measured.wrong[:, seen].T  # (images, points)
    groups = np.unique(pool.groups[seen], return_inverse=True)[1]
    sums = [(w @ wrong) / w.sum(axis=1)[:, None] for w in draw_weights(groups, DRAWS, seed)]
    errors = np.concatenate(sums)
    random = np.random.default_rng((seed, 2))
    laws = fit_laws(measured.sizes, errors, measured.spread, random)
    return Curves(measured.sizes, wrong.mean(axis=0), errors, laws, measured.flips)


def forecast(
    laws: Laws, images: float, more: float, flips: float, tests: int
) -> tuple[Estimate, Estimate]:
    """Return the accuracy with more images, and how much it gains.

    Args:
        laws: of :func:`draw_curves`.
        images: that there are now, of all or of the class.
        more: that come.
        flips: see :class:`Measured`; of a doubling.
        tests: images of the test that is to show it.
    """
    changed = min(1.0, flips * float(np.log2(1 + more / images)))
    noise = float(np.sqrt(changed / max(tests, 1)))
    gain = estimate(laws.compute_gain(images, more), noise)
    return estimate(1 - laws.compute_error(images + more)), gain


def forecast_class(
    pool: Pool,
    measured: tuple[np.ndarray, np.ndarray],
    growth: tuple[int, int],
    tests: int,
    seed: int,
) -> tuple[Estimate, Estimate]:
    """Return the accuracy with more images of one class, and how much it gains.

    A doubling brings less the more there is: by a power law between 2^-0.1 and 2^-1.2 of what it
    brought with half as much.

    Args:
        pool: the images that are judged.
        measured: of :func:`measure_class`, for these images.
        growth: images of the class that there are now, and that come.
        tests: images of the test that is to show it.
        seed: of the draws.
    """
    gains, wrong = measured
    seen = np.flatnonzero(~np.isnan(gains).any(axis=0))
    groups = np.unique(pool.groups[seen], return_inverse=True)[1]
    table = np.stack([*gains[:, seen], wrong[seen]], axis=1)  # (images, parts + 1)
    sums = [(w @ table) / w.sum(axis=1)[:, None] for w in draw_weights(groups, DRAWS, seed)]
    drawn = np.concatenate(sums)  # (draws, parts + 1)
    changed = (gains[:, seen] ** 2).mean(axis=1)  # share of answers, (parts,)
    random = np.random.default_rng((seed, 3))
    # With other parts of the same images other answers would have changed.
    parts = drawn[:, :-1] + random.normal(0, np.sqrt(changed / len(seen)), drawn[:, :-1].shape)
    exponent = random.choice(EXPONENTS, len(parts))
    scale = np.array([SHARES[point] for point in DOUBLED_AT])  # (parts,)
    gain = (parts * scale ** exponent[:, None]).mean(axis=1)  # of a doubling of all there is
    times = 1 + growth[1] / growth[0]
    gain *= (1 - times**-exponent) / (1 - 2**-exponent)
    noise = float(np.sqrt(min(1.0, changed[-1] * np.log2(times)) / max(tests, 1)))
    return estimate(1 - drawn[:, -1] + gain), estimate(gain, noise)

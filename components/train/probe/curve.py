"""The learning curve: how good the probe is with fewer images, and what more would bring.

Features are there already, so a fit takes a moment: probes learn from parts of the images of four
folds and name those of the fifth. A power law through these errors says what more images bring
(:mod:`power_law`); single classes are doubled within such parts. What is estimated is the
difference that a test would show: of the same test images, which are so and so many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FORECAST,
    LABELS,
    MEASURED,
    RECALL,
    CurvePoint,
)
from components.common.statistics.bootstrap import draw_weights
from components.train.probe.folds import deal
from components.train.probe.heads import Way
from components.train.probe.part_fits import (
    DOUBLED_AT,
    DRAWS,
    FOLDS,
    SHARES,
    Curves,
    Pool,
    draw_curves,
    forecast,
    forecast_class,
    judge,
    measure_all,
    measure_class,
    order_nested,
    reduce_features,
)
from components.train.probe.power_law import Estimate, estimate

ROUNDS = 2  # of all folds and parts, where there is time
# Of fewer images the smallest part, 1 in 20, has less than one of each class, or hardly any.
LEAST_IMAGES, LEAST_A_CLASS = 100, 20
LEAST_OF_CLASS = 16  # of a class that is looked at by itself: a quarter of four folds is 3 images
# Images × axes × classes of all fits: about 15 s on one core. Of more images some are enough.
MOST_WORK = 2e9
MOST_CLASSES = 5  # that are looked at by themselves: those with the most mistakes


def create_curve(
    pool: Pool, way: Way, suspects: np.ndarray, tests: Mapping[str, int], seed: int
) -> tuple[list[CurvePoint], str]:
    """Return the points of learning_curve.csv; where there are none, why.

    Args:
        pool: all labelled images but those of the test.
        way: in which the probe was fitted.
        suspects: rows of the images whose labels look wrong.
        tests: images of each class in the test that is to show a gain.
        seed: of folds, parts and draws.
    """
    images, names = len(pool.labels), pool.class_names
    counts = np.bincount(pool.labels, minlength=len(names))
    needed = max(LEAST_IMAGES, LEAST_A_CLASS * int((counts > 0).sum()))
    if images < needed:
        return [], f"{images:,} labelled images are too few for it; {needed:,} are needed"
    if next(deal(pool.labels, pool.groups, FOLDS, seed), None) is None:
        return [], "no image has another of its class that is not of its group"
    # Of each round, all folds and parts together learn so many times the images.
    times = (FOLDS - 1) * sum(SHARES)
    rounds = int(np.clip(MOST_WORK / pool.count_work(times * images), 1, ROUNDS))
    most = int(MOST_WORK / pool.count_work(times))
    if images > most:
        random = np.random.default_rng(seed)
        rows = order_nested(pool.labels, pool.groups, random)[:most]
        suspects = np.flatnonzero(np.isin(rows, suspects))
        pool = pool.take(rows)
    pool, kept = reduce_features(pool, way)
    whole = measure_all(pool, kept, seed, rounds)
    tested = sum(tests.values())
    curves = draw_curves(whole, pool, seed)
    points = list(describe_all(curves, (images, images), len(names), tested))
    for label in _choose_classes(pool, whole.first[-1]):
        measured = measure_class(pool, kept, label, whole, seed)
        points += _describe_class(
            pool, measured, label, images=int(counts[label]), tests=tests, seed=seed
        )
    if len(suspects):
        points.append(
            _measure_mending(pool, kept, suspects, whole.first[-1], tests=tested, seed=seed)
        )
    return points, ""


def _choose_classes(pool: Pool, wrong: np.ndarray) -> list[int]:
    """Return the classes that are looked at by themselves, the one with most mistakes first."""
    mistakes = np.array(
        [np.nansum(wrong[pool.labels == label]) for label in range(len(pool.class_names))]
    )
    counts = np.bincount(pool.labels, minlength=len(mistakes))
    mistakes[counts < LEAST_OF_CLASS] = 0
    times = (FOLDS - 1) * sum(SHARES[point] for point in DOUBLED_AT)  # of a class, as above
    most = int(np.clip(MOST_WORK / pool.count_work(times * len(wrong)), 1, MOST_CLASSES))
    order = np.argsort(-mistakes, kind="stable")[:most]
    return [int(label) for label in order if mistakes[label] > 0]


def describe_all(
    curves: Curves, counts: tuple[int, int], classes: int, tests: int, of: str = EVERYTHING
) -> Iterator[CurvePoint]:
    """Yield the points of all classes together.

    Args:
        curves: how the error falls.
        counts: labelled images that there are, and how many of them are learnt by what the curve is
            about; of those that come as large a share will be.
        classes: how many there are.
        tests: images of the test that is to show a gain.
        of: what the points are about.
    """
    images, learnt = counts
    blank = Estimate(0.0, 0.0, 0.0)
    for size, error, drawn in zip(curves.sizes, curves.seen, curves.errors.T, strict=True):
        ends = estimate(1 - drawn)
        right = float(1 - error)
        seen = Estimate(right, min(right, ends.low), max(right, ends.high))
        yield _point((of, "", MEASURED), (round(size), 0), seen, blank)
    amounts = {round_amount(images / classes), round_amount(images / 2), images}
    for more in sorted(amounts):
        its = more * learnt / images
        found = forecast(curves.laws, learnt, its, curves.flips, tests)
        yield _point((of, "", FORECAST), (round(learnt + its), more), *found)


def _describe_class(
    pool: Pool,
    measured: tuple[np.ndarray, np.ndarray],
    label: int,
    *,
    images: int,
    tests: Mapping[str, int],
    seed: int,
) -> Iterator[CurvePoint]:
    """Yield what more images of one class would bring, to all answers and to its own."""
    name = pool.class_names[label]
    more = round_amount(min(len(pool.labels) / len(pool.class_names), 2 * images))
    own = np.flatnonzero(pool.labels == label)
    its = (measured[0][:, own], measured[1][own])
    for of, judged, some, tested in (
        (CLASS, pool, measured, sum(tests.values())),
        (RECALL, pool.take(own), its, tests.get(name, 0)),
    ):
        found = forecast_class(judged, some, (images, more), tested, seed)
        yield _point((of, name, FORECAST), (images + more, more), *found)


def _measure_mending(
    pool: Pool, way: Way, suspects: np.ndarray, wrong: np.ndarray, *, tests: int, seed: int
) -> CurvePoint:
    """Return how much better probes name the other images that did not learn doubted labels."""
    doubted = np.zeros(len(pool.labels), bool)
    doubted[suspects] = True
    without = np.full(len(wrong), np.nan)
    for fitted, judged in deal(pool.labels, pool.groups, FOLDS, seed):
        without[judged] = judge(pool, way, fitted[~doubted[fitted]], judged)
    seen = np.flatnonzero(~np.isnan(without) & ~np.isnan(wrong) & ~doubted)
    groups = np.unique(pool.groups[seen], return_inverse=True)[1]
    pair = np.stack([wrong[seen], without[seen]], axis=1)  # (images, 2)
    draws = np.concatenate(
        [(w @ pair) / w.sum(axis=1)[:, None] for w in draw_weights(groups, DRAWS, seed)]
    )
    noise = float(np.sqrt((pair[:, 0] != pair[:, 1]).mean() / max(tests, 1)))
    gain = estimate(draws[:, 0] - draws[:, 1], noise)
    return _point((LABELS, "", MEASURED), (len(suspects), 0), estimate(1 - draws[:, 1]), gain)


def _point(
    what: tuple[str, str, str], counts: tuple[int, int], accuracy: Estimate, gain: Estimate
) -> CurvePoint:
    """Return a row: of what, whose and of which kind; images learnt, and how many are to come."""
    ends = (max(0.0, accuracy.low), min(1.0, accuracy.high))
    return CurvePoint(
        *what, *counts, min(1.0, accuracy.value), *ends, gain.value, gain.low, gain.high
    )


def round_amount(images: float) -> int:
    """Return 1, 2 or 5 times a power of ten, the greatest that is no more; at least 10."""
    power = 10 ** int(np.floor(np.log10(max(images, 10))))
    return int(max(times * power for times in (1, 2, 5) if times * power <= max(images, 10)))


def describe_curve(points: Sequence[CurvePoint], reason: str, of: str = EVERYTHING) -> str:
    """Return what twice the images would bring, in a sentence."""
    whose = "probe" if of == EVERYTHING else "fine-tuned network"
    if reason:
        return f"no learning curve of the {whose}: {reason}"
    last = [one for one in points if one.of == of and one.kind == FORECAST][-1]
    gain, low, high = (100 * end for end in (last.gain, last.gain_low, last.gain_high))
    return (
        f"learning curve of the {whose}: {last.more:,} more images, mixed as these, would bring "
        f"{gain:+.1f} points ({low:+.1f} to {high:+.1f})"
    )

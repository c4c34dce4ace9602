"""How often the interval of the learning curve holds what the other half of a set then brings.

    python benchmarks/curve.py                                     # digits: nothing to download
    python benchmarks/curve.py --clothing clothing-photos.tar --signs sign-digits.tar
    python benchmarks/curve.py --sets digits --finetune --seeds 6  # … of the fine-tuned network

A third of a set is the test, the rest is halved, by chance. Of one half the curve is made, as train
makes it, from features of the default backbone. Then the other half is added: all of it, to probes
whose head is chosen anew; or its images of one class alone. What the test then shows is
compared with what the curve said. Features are extracted once and kept (--cache).

With --finetune the room trains: the half with train.curve_minutes, then both halves, each with a
fifth for validation. Beside what its curve said stands what the probe's says, times the model's
share of the probe's mistakes: the way without that curve.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._curve_finetune import try_half_tuned
from benchmarks._features import Set, add_flags, read_sets
from benchmarks._flags import Flags
from components.common.artifacts.curve import CLASS, EVERYTHING, RECALL
from components.common.terminal import exit_on_error
from components.train.probe.choice import Known, choose_head
from components.train.probe.curve import ROUNDS
from components.train.probe.heads import LOGISTIC, Head, Way, fit_way
from components.train.probe.part_fits import (
    Pool,
    draw_curves,
    forecast,
    forecast_class,
    measure_all,
    measure_class,
    reduce_features,
)

Outcome = tuple[float, float, float, float]  # said, low, high, seen


def main() -> None:
    """Print a line for each set and kind of gain."""
    parser = Flags(__file__, __doc__, "--sets digits")
    add_flags(parser)
    parser.add_argument("--seeds", type=int, default=20, help="halves of each set")
    parser.add_argument("--class-seeds", type=int, default=3, help="of them with single classes")
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=["digits", "clothing", "signs"],
        help="by name; default: all that can be had",
    )
    parser.add_argument("--finetune", action="store_true", help="of the fine-tuned network instead")
    parser.add_argument("--log", type=Path, help="file that gets what the trainings print")
    flags = parser.parse_args()
    parser.need_archives(flags, {name: name for name in flags.sets or ()})
    print(f"{'set':<10}{'more of':<10}{'cases':>6}{'said':>8}{'seen':>8}{'width':>8}{'held':>7}")
    if flags.finetune:
        archives = {"digits": Path(), "clothing": flags.clothing, "signs": flags.signs}
        for name, file in archives.items():
            if file is not None and name in (flags.sets or archives):
                show_tuned(name, file, flags.seeds, flags.log)
        return
    for whole in read_sets(flags.clothing, flags.signs, flags.cache, flags.sets):
        one, found, start = turn(whole), defaultdict(list), time.perf_counter()
        for seed in range(flags.seeds):
            for what, outcome in try_half(one, seed, seed < flags.class_seeds):
                found[what].append(outcome)
        for what, outcomes in found.items():
            show(one.name, what, np.array(outcomes))
        print(f"  {(time.perf_counter() - start) / flags.seeds:.0f} s a half", flush=True)


def show_tuned(name: str, archive: Path, seeds: int, log: Path | None) -> None:
    """Print a line for the curve of the fine-tuned network, and one for the way without it."""
    found, start = defaultdict(list), time.perf_counter()
    for seed in range(seeds):
        for what, outcome in try_half_tuned(name, archive, seed, log):
            found[what].append(outcome)
    for what, outcomes in found.items():
        show(name, what, np.array(outcomes))
    print(f"  {(time.perf_counter() - start) / seeds:.0f} s a half", flush=True)


def turn(one: Set) -> Set:
    """Return a set on the main axes of its features, as a curve has them: a fit is then quick."""
    pool = Pool(one.features, one.labels, one.groups, one.class_names)
    return replace(one, features=reduce_features(pool, Way(LOGISTIC))[0].features)


def show(name: str, what: str, outcomes: np.ndarray) -> None:
    """Print the means of what was said and seen, in points, and how often the interval held."""
    said, low, high, seen = outcomes.T
    held = ((low <= seen) & (seen <= high)).mean()
    print(
        f"{name:<10}{what:<10}{len(outcomes):>6}{100 * said.mean():>8.2f}{100 * seen.mean():>8.2f}"
        f"{100 * (high - low).mean():>8.2f}{held:>7.0%}",
        flush=True,
    )


def try_half(one: Set, seed: int, with_classes: bool) -> list[tuple[str, Outcome]]:
    """Return what was said of a half and what the other half brought."""
    random = np.random.default_rng(seed)
    numbers = random.permutation(one.groups.max() + 1)  # whole groups are dealt
    place = numbers[one.groups] / len(numbers)
    test, half, rest = (
        np.flatnonzero((low <= place) & (place < high))
        for low, high in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1))
    )
    features, labels = one.features, one.labels
    pool = Pool(features[half], labels[half], one.groups[half], one.class_names)
    head = choose(one, half, random, seed)

    def find_wrong(found: Head) -> np.ndarray:
        return found.compute_logits(features[test]).argmax(axis=1) != labels[test]

    def fit(rows: np.ndarray) -> np.ndarray:
        return find_wrong(fit_way(head.way, features[rows], labels[rows], len(one.class_names)))

    now = fit(half)
    both = choose(one, np.concatenate([half, rest]), random, seed)
    both = fit_way(
        both.way,
        features[np.concatenate([half, rest])],
        labels[np.concatenate([half, rest])],
        len(one.class_names),
    )
    pool, way = reduce_features(pool, head.way)
    whole = measure_all(pool, way, seed, ROUNDS)
    laws = draw_curves(whole, pool, seed).laws
    said = forecast(laws, len(half), len(rest), whole.flips, len(test))[1]
    seen = now.mean() - find_wrong(both).mean()
    found = [(EVERYTHING, (said.value, said.low, said.high, float(seen)))]
    for label in range(len(one.class_names)) if with_classes else []:
        new = rest[labels[rest] == label]
        count, own = int((labels[half] == label).sum()), labels[test] == label
        measured = measure_class(pool, way, label, whole, seed)
        then = fit(np.concatenate([half, new]))
        said = forecast_class(pool, measured, (count, len(new)), len(test), seed)[1]
        seen = now.mean() - then.mean()
        found.append((CLASS, (said.value, said.low, said.high, float(seen))))
        rows = np.flatnonzero(pool.labels == label)
        its = (measured[0][:, rows], measured[1][rows])
        tested = int(own.sum())
        said = forecast_class(pool.take(rows), its, (count, len(new)), tested, seed)[1]
        seen = now[own].mean() - then[own].mean()
        found.append((RECALL, (said.value, said.low, said.high, float(seen))))
    return found


def choose(one: Set, rows: np.ndarray, random: np.random.Generator, seed: int) -> Head:
    """Return the head that the probe would choose, a fifth of the images for validation."""
    mixed = random.permutation(rows)
    val, train = np.split(mixed, [len(mixed) // 5])
    known = Known(
        one.features[train],
        one.labels[train],
        one.features[val],
        one.labels[val],
        len(one.class_names),
        one.groups[np.concatenate([train, val])],
    )
    return choose_head(known, seed)[0]


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

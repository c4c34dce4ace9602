"""What labels that `suggest` asks for are worth, against labels of photos taken by chance.

    python benchmarks/suggest.py --clothing clothing-photos.tar --signs sign-digits.tar

A third of a set is the test. A probe learns some labels (--start), and chooses more of the rest in
one go, as suggest does; others choose as many. Then the probe learns these too: its accuracy on the
test, mean and spread of the seeds; by chance, of the means of three draws a seed. Features are
those of the default backbone, extracted once and kept (--cache).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._features import Set, add_flags, read_sets
from benchmarks._flags import Flags
from components.common.artifacts.model import compute_probabilities
from components.common.terminal import exit_on_error
from components.predict.suggest.diversity import choose_spread
from components.train.probe.choice import Known, choose_head
from components.train.probe.heads import fit_way

DRAWS = 3


def main() -> None:
    """Print a table for each set."""
    parser = Flags(__file__, __doc__, "--clothing clothing-photos.tar")
    add_flags(parser)
    parser.add_argument("--start", type=int, default=200, help="labels that there are")
    parser.add_argument("--labels", type=int, default=200, help="labels that are asked for")
    parser.add_argument("--seeds", type=int, default=5)
    flags = parser.parse_args()
    for one in read_sets(flags.clothing, flags.signs, flags.cache):
        found = defaultdict(list)
        for seed in range(flags.seeds):
            for name, accuracy in try_seed(one, flags.start, flags.labels, seed):
                found[name].append(accuracy)
        print(f"{one.name}: {flags.start} labels, then {flags.labels} more")
        for name, accuracies in found.items():
            print(f"  {name:<24}{np.mean(accuracies):.3f} ± {np.std(accuracies, ddof=1):.3f}")
        sys.stdout.flush()


def try_seed(one: Set, start: int, labels: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield the accuracy of each way to choose."""
    random = np.random.default_rng(seed)
    mixed = random.permutation(len(one.labels))
    test, known, pool = np.split(mixed, [len(mixed) // 3, len(mixed) // 3 + start])
    features, own, classes = one.features, one.labels, len(one.class_names)
    val, train = np.split(known, [start // 5])
    given = (features[train], own[train], features[val], own[val])
    way = choose_head(Known(*given, classes, np.arange(start)), seed)[0].way

    def judge(*more: np.ndarray) -> float:
        rows = np.concatenate([known, *more])
        head = fit_way(way, features[rows], own[rows], classes)
        answers = head.compute_logits(features[test]).argmax(axis=1)
        return float((answers == own[test]).mean())

    head = fit_way(way, features[known], own[known], classes)
    probabilities = compute_probabilities(head.compute_logits(features[pool]), 1.0)
    best = np.sort(probabilities, axis=1)[:, ::-1]
    worth = 1 - (best[:, 0] - best[:, 1])
    yield "none more", judge()
    for times in (1, 1.5, 2, 2.5):
        count = round(times * labels)
        draws = [judge(random.permutation(pool)[:count]) for _ in range(DRAWS)]
        yield f"{count} by chance", float(np.mean(draws))
    yield f"{labels} by suggest", judge(pool[choose_spread(features[pool], worth, labels)])
    yield f"{labels} by doubt alone", judge(pool[np.argsort(-worth)[:labels]])
    spread = choose_spread(features[pool], np.ones(len(pool)), labels)
    yield f"{labels} by spread alone", judge(pool[spread])


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

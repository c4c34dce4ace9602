"""How often the gate promotes: a thousand pairs of equally good models, and of models with a gain.

    python benchmarks/promote_gate.py

Both models of a pair see the same images and share most of their mistakes, as two trainings of one
recipe do. Chance decides the rest. In groups all images of one share their fate, as near-duplicates
do; a gate that took them for strangers would promote equal models far too often.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._flags import Flags
from components.common.artifacts.predictions import Predictions
from components.common.terminal import exit_on_error
from components.promote.gate.evidence import Evidence
from components.promote.gate.gate import decide
from components.promote.gate.outcomes import PROMOTED, Champion
from components.promote.spec import Rule

PAIRS, IMAGES, LEVEL = 1000, 2000, 0.05
ACCURACY = 0.90  # of the champion
SHARED = 0.6  # of the champion's mistakes are those of the challenger as well


def simulate(
    rule: Rule, gain: float, images: int = IMAGES, pairs: int = PAIRS, group: int = 1
) -> float:
    """Return the share of pairs in which the challenger is promoted.

    Args:
        rule: the only one.
        gain: true accuracy of the challenger minus that of the champion.
        images: of the test split.
        pairs: of models.
        group: images of each group.
    """
    random = np.random.default_rng(0)
    wrong = 1 - ACCURACY
    both = SHARED * wrong  # both are wrong
    chances = [1 - wrong - (wrong - gain - both), wrong - both, wrong - gain - both, both]
    promoted = 0
    for _ in range(pairs):
        # Both right, ours alone, theirs alone, none.
        kind = random.choice(4, images // group, p=chances).repeat(group)
        ours, theirs = kind < 2, (kind == 0) | (kind == 2)
        champion = Champion("1", Evidence({}, "t", make(theirs, group)))
        decision = decide([rule], Evidence({}, "t", make(ours, group)), champion)
        promoted += decision.verdict == PROMOTED
    return promoted / pairs


def make(right: np.ndarray, group: int = 1) -> Predictions:
    """Return predictions of two classes that are right where they are said to be."""
    labels = np.zeros(len(right), np.int64)
    said = np.where(right, 0, 1)
    probabilities = np.where(np.eye(2)[said] == 1, 0.9, 0.1)
    names = [str(row) for row in range(len(right))]
    groups = [str(row // group) for row in range(len(right))]
    table = np.log(probabilities), probabilities
    return Predictions(["a", "b"], names, names, labels, *table, groups if group > 1 else [])


def main() -> None:
    """Print the shares."""
    better = Rule("accuracy", better_by=0, level=LEVEL)
    margin = Rule("accuracy", not_worse_by=0.01, level=LEVEL)
    print(f"{PAIRS:,} pairs, champion {ACCURACY:.0%}, level {LEVEL}, {IMAGES:,} images unless said")
    loss = Rule("log_loss", better_by=0, level=LEVEL)
    for rule, gain, images, group, wanted in [
        (better, 0.0, IMAGES, 1, "at most 5 %"),
        (better, 0.0, 300, 1, "at most 5 %"),
        (better, 0.0, 600, 10, "at most 5 %"),
        (loss, 0.0, 600, 10, "at most 5 %"),
        (better, 0.03, IMAGES, 1, "at least 80 %"),
        (margin, -0.01, IMAGES, 1, "at most 5 %"),
        (margin, -0.01, 600, 10, "at most 5 %"),
        (margin, 0.0, IMAGES, 1, ""),
        (margin, 0.03, IMAGES, 1, "at least 80 %"),
    ]:
        share = simulate(rule, gain, images, group=group)
        kind = f"{images:,} images" + (f", groups of {group}" if group > 1 else "")
        print(f"{rule.words:<42} true gain {gain:+.2f}  {kind:<24}  {share:6.1%}  {wanted}")


if __name__ == "__main__":
    Flags(__file__, __doc__, "").parse_args()
    with exit_on_error():  # a reader may have enough: | head
        main()

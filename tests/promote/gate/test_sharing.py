"""Classes that were renamed, added or dropped: what both models know is compared, by content."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from components.common.artifacts.predictions import Predictions
from components.promote.gate.evidence import Evidence
from components.promote.gate.gate import decide
from components.promote.gate.outcomes import Champion, Outcome
from components.promote.gate.sharing import share_images
from components.promote.spec import Rule


def make(names: list[str], labels: list[int], said: list[int], first: int = 0) -> Predictions:
    """The images are numbered from `first`; of each the model is sure."""
    probabilities = np.full((len(labels), len(names)), 0.1 / (len(names) - 1))
    probabilities[np.arange(len(labels)), said] = 0.9
    numbers = range(first, first + len(labels))
    return Predictions(
        class_names=names,
        paths=[f"{i}.png" for i in numbers],
        sha256=[f"sha{i}" for i in numbers],
        labels=np.array(labels),
        logits=np.log(probabilities).astype(np.float32),
        probabilities=probabilities,
    )


def judge(ours: Predictions, theirs: Predictions, metric: str = "accuracy") -> Outcome:
    champion = Champion("7", Evidence({metric: 0.9}, "t", theirs))
    rule = Rule(metric, better_by=0)
    return decide([rule], Evidence({metric: 0.9}, "u", ours), champion).outcomes[0]


LABELS = [0, 1] * 23


@pytest.mark.parametrize("metric", ["accuracy", "macro.f1", "macro.recall", "log_loss"])
@pytest.mark.parametrize("names", [["boots", "shirt"], ["shirt", "boots"]])
def test_renamed_class_is_the_same_class(names: list[str], metric: str) -> None:
    """The champion takes every third image wrongly; under the new name nothing else changes."""
    wrong = [1 - label if i % 3 == 0 else label for i, label in enumerate(LABELS)]
    theirs = make(["boot", "shirt"], LABELS, wrong)
    place = [names.index("boots"), names.index("shirt")]
    same = [place[label] for label in LABELS]
    found = judge(make(names, same, same), theirs, metric)
    assert found.outcome == "passed", found.words
    assert found.images == 46
    assert "class boot is called boots now" in found.words
    before = judge(make(["boot", "shirt"], LABELS, LABELS), theirs, metric)
    assert (found.interval, found.p_value) == (before.interval, before.p_value)


def test_added_class_is_left_out_and_what_is_taken_for_it_counts() -> None:
    """46 images are known to both, of 40 new ones the champion knows nothing."""
    theirs = make(["boot", "shirt"], LABELS, LABELS)
    labels = LABELS + [2] * 40
    found = judge(make(["boot", "shirt", "hat"], labels, labels), theirs)
    assert (found.images, found.outcome) == (46, "failed")  # as good, so not better
    assert "the champion does not know hat" in found.words
    said = [2] * 10 + labels[10:]  # ten old images are taken for hats
    worse = judge(make(["boot", "shirt", "hat"], labels, said), theirs)
    assert "accuracy is 0.2174 worse" in worse.words  # 10 of 46


def test_dropped_and_split_classes_are_no_renamed_ones() -> None:
    theirs = make(["boot", "shirt", "hat"], LABELS + [2] * 5, LABELS + [2] * 5)
    shared = share_images(make(["boot", "shirt"], LABELS, LABELS), theirs)
    assert (len(shared.ours), shared.whole) == (46, 46)
    assert shared.differences == "; the challenger lacks hat"
    # A class that was split in two has no name of its own any more.
    split = [2 if label == 0 and i % 4 == 0 else label for i, label in enumerate(LABELS)]
    shared = share_images(make(["ankle", "shirt", "knee"], split, split), theirs)
    assert len(shared.ours) == 23
    assert shared.differences == (
        "; the champion does not know ankle, knee; the challenger lacks boot, hat"
    )


def test_two_classes_that_changed_names_are_not_taken_for_each_other() -> None:
    """By content every image has another label: that is relabelling, and not the same images."""
    theirs = make(["cat", "dog"], LABELS, LABELS)
    swapped = make(["dog", "cat"], LABELS, LABELS)
    found = judge(swapped, theirs)
    assert found.outcome == "incomparable"
    assert "0 of 46 are the same" in found.words


def test_rows_keep_their_images_in_any_order() -> None:
    theirs = make(["boot", "shirt"], LABELS, LABELS)
    order = np.random.default_rng(0).permutation(46)
    ours = make(["shirt", "boot"], [1 - label for label in LABELS], [1 - x for x in LABELS])
    ours = dataclasses.replace(
        ours,
        sha256=[ours.sha256[i] for i in order],
        labels=ours.labels[order],
        probabilities=ours.probabilities[order],
        logits=ours.logits[order],
    )
    shared = share_images(ours, theirs)
    assert shared.ours.sha256 == shared.theirs.sha256
    assert shared.ours.class_names == shared.theirs.class_names
    assert (shared.ours.labels == shared.theirs.labels).all()
    assert shared.ours.correct.all()
    assert shared.theirs.correct.all()

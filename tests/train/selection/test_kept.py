"""Which epoch is kept."""

from __future__ import annotations

import pytest

from components.common.artifacts.history import Epoch
from components.train.selection.kept import find_best, find_kept


def make_epochs(*accuracies: float) -> list[Epoch]:
    """Return the probe and the epochs after it; the loss is the same in all."""
    return [
        Epoch("fine-tune" if i else "probe", i, None, 0.1, 1.0, 0.4, accuracy, 1.0)
        for i, accuracy in enumerate(accuracies)
    ]


@pytest.mark.parametrize(
    ("accuracies", "images", "kept"),
    [
        ((0.88,), 341, 0),
        ((0.883, 0.894, 0.877, 0.889), 341, 3),  # 0.889 is within 0.0167 of 0.894
        ((0.883, 0.894, 0.877, 0.889), 34_100, 1),  # with more images it is not: 0.0017
        ((0.88, 0.90, 0.95, 0.85), 341, 2),
        ((0.90, 0.80, 0.89), 341, 0),  # close to the probe is not better than the probe
        ((0.90, 0.90, 0.90), 341, 0),
        ((1.0, 1.0, 1.0), 10, 0),
        ((0.5, 1.0, 0.99), 100, 1),  # all right: no error, no slack
    ],
)
def test_the_latest_that_may_be_best_is_kept_if_it_beats_the_probe(
    accuracies: tuple[float, ...], images: int, kept: int
) -> None:
    epochs = make_epochs(*accuracies)
    assert find_kept(epochs, images) is epochs[kept]


def test_kept_so_far_and_kept_at_the_end_agree() -> None:
    """Fine-tuning decides after each epoch; the last of its decisions must be the final one."""
    import itertools

    for accuracies in itertools.product((0.85, 0.88, 0.9, 0.93), repeat=5):
        epochs = make_epochs(*accuracies)
        kept = epochs[0]
        for count in range(2, len(epochs) + 1):
            if find_kept(epochs[:count], 341) is epochs[count - 1]:
                kept = epochs[count - 1]
        assert kept is find_kept(epochs, 341)


def test_the_best_is_the_most_accurate_then_the_least_lossy() -> None:
    epochs = make_epochs(0.8, 0.9, 0.9)
    assert find_best(epochs) is epochs[1]

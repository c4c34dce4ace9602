"""The choice: farthest-first as by brute force, and never the same picture twice."""

from __future__ import annotations

import numpy as np
import pytest

from components.predict.suggest.diversity import choose_spread, drop_copies


def choose_by_force(features: np.ndarray, worth: np.ndarray, count: int) -> list[int]:
    """Return the same by all distances between all images, one loop an image."""
    around = features - features.mean(axis=0)
    units = [one / np.sqrt((one**2).sum()) for one in around]
    chosen: list[int] = []
    while len(chosen) < count:
        best, most = -1, -1.0
        for i, one in enumerate(units):
            if i in chosen:
                continue
            gaps = [float(np.sqrt(((one - units[j]) ** 2).sum())) for j in chosen]
            wanted = worth[i] * min(gaps, default=2.0)
            if wanted > most:
                best, most = i, wanted
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_the_weighted_farthest_first_of_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    features, worth = random.normal(size=(60, 8)), random.random(60)
    assert choose_spread(features, worth, 20).tolist() == choose_by_force(features, worth, 20)


def test_all_are_chosen_once_where_all_are_asked_for() -> None:
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(5, 4)), 3, axis=0)  # three of each, alike
    chosen = choose_spread(features, np.ones(15), 40)
    assert sorted(chosen) == list(range(15))
    assert {i // 3 for i in chosen[:5]} == set(range(5))  # one of each kind comes first
    assert choose_spread(np.zeros((0, 4)), np.zeros(0), 3).tolist() == []
    assert choose_spread(np.ones((4, 3)), np.zeros(4), 2).tolist() == [0, 1]


def test_of_near_copies_the_one_of_most_worth_stays() -> None:
    hashes = ["00000000000000ff", "00000000000000fe", "ffffffff00000000", "", ""]
    worth = np.array([0.2, 0.9, 0.5, 0.1, 0.1])
    assert drop_copies(hashes, worth, 4, []).tolist() == [1, 2, 3, 4]
    # What is labelled already, or nearly, is not asked for again.
    assert drop_copies(hashes, worth, 4, ["ffffffff00000001"]).tolist() == [1, 3, 4]
    assert drop_copies(hashes, worth, 0, ["ffffffff00000001"]).tolist() == [0, 1, 2, 3, 4]
    assert drop_copies([], np.zeros(0), 4, ["ffffffff00000001"]).tolist() == []

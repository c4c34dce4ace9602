"""Two models on the same images, against scikit-learn's and SciPy's own sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, chi2

from components.common.statistics.bootstrap import draw_weights, number_groups
from components.common.statistics.paired import (
    compare,
    compute_difference_interval,
    compute_mcnemar,
)


def answers(images: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    theirs = random.random(images) < 0.8
    return theirs ^ (random.random(images) < np.where(theirs, 0.05, 0.4)), theirs


def test_images_are_won_and_lost() -> None:
    found = compare(np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool))
    assert (found.both_right, found.won, found.lost, found.both_wrong) == (1, 2, 1, 1)
    assert found.difference == pytest.approx(0.2)
    assert found.low <= 0.2 <= found.high


def test_mcnemar_is_exact() -> None:
    # By hand: 1 of 6 or fewer, or 5 of 6 or more, of 64 equally likely outcomes: 14 / 64.
    assert compute_mcnemar(5, 1) == pytest.approx(14 / 64)
    assert compute_mcnemar(1, 5) == compute_mcnemar(5, 1)
    assert compute_mcnemar(0, 0) == 1
    assert compute_mcnemar(3, 3) == 1
    # With many images it approaches the chi-square form with continuity correction.
    assert compute_mcnemar(560, 440) == pytest.approx(chi2.sf((120 - 1) ** 2 / 1000, 1), rel=0.02)


def test_the_paired_interval_is_that_of_scipy() -> None:
    ours, theirs = answers()
    low, high = compute_difference_interval(ours, theirs, resamples=20_000)
    gap = ours.astype(float) - theirs
    oracle = bootstrap((gap,), np.mean, n_resamples=20_000, method="percentile", random_state=1)
    assert (low, high) == pytest.approx(tuple(oracle.confidence_interval), abs=0.002)
    assert (low, high) == compute_difference_interval(ours, theirs, resamples=20_000)


def test_copies_in_one_group_are_no_new_evidence() -> None:
    ours, theirs = answers(300)
    once = compute_difference_interval(ours, theirs, resamples=4000)
    copied = np.repeat(ours, 9), np.repeat(theirs, 9)
    groups = np.repeat(np.arange(300), 9)
    assert compute_difference_interval(*copied, groups, resamples=4000) == pytest.approx(once)
    blind = compute_difference_interval(*copied, resamples=4000)
    assert blind[1] - blind[0] < 0.5 * (once[1] - once[0])


def test_no_difference_is_not_certainty() -> None:
    same = np.ones(100, bool)
    found = compare(same, same)
    assert found.difference == 0
    assert found.p_value == 1
    assert found.low == -found.high
    assert 0.02 < found.high < 0.06


def test_images_won_without_exception_are_not_certainty_either() -> None:
    right, wrong = np.ones(3, bool), np.zeros(3, bool)
    found = compare(right, wrong)
    # Wilson's interval of 0 in 3 ends at 0.56: so many images may be lost, not won.
    assert (found.low, found.high) == (pytest.approx(1 - 2 * 0.5615, abs=1e-3), 1)
    assert compute_difference_interval(wrong, right) == (-found.high, -found.low)
    grouped = compute_difference_interval(right, wrong, np.array([0, 0, 1]))
    assert grouped[0] < found.low


def test_a_sure_winner_is_seen() -> None:
    ours, theirs = answers(5000)
    found = compare(ours, theirs)
    assert found.p_value < 1e-6
    assert 0 < found.low < found.difference < found.high


def test_weights_draw_whole_groups_and_repeat_themselves() -> None:
    groups = number_groups(["b", "a", "b", "c", "a"])
    assert list(groups) == [1, 0, 1, 2, 0]
    weights = np.concatenate(list(draw_weights(groups, 50, chunk=20)))  # 4 resamples at a time
    assert weights.shape == (50, 5)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    again = np.concatenate(list(draw_weights(groups, 50, chunk=20)))
    assert (weights == again).all()

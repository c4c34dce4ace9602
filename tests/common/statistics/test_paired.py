"""Two models on the same images, against SciPy's own sums and by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, permutation_test

from components.common.statistics.bootstrap import create_strata, draw_weights, number_groups
from components.common.statistics.paired import compare, compare_gaps


def answers(images: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    theirs = random.random(images) < 0.8
    return theirs ^ (random.random(images) < np.where(theirs, 0.05, 0.4)), theirs


def test_images_are_won_and_lost() -> None:
    found = compare(np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool))
    assert (found.both_right, found.won, found.lost, found.both_wrong) == (1, 2, 1, 1)
    assert found.difference == pytest.approx(0.2)
    assert found.low <= 0.2 <= found.high


def test_without_groups_it_is_the_exact_test_of_mcnemar() -> None:
    def find_p(won: int, lost: int) -> float:
        ours = np.repeat([True, False, True], [won, lost, 1])
        return compare(ours, np.repeat([False, True, True], [won, lost, 1])).p_value

    # By hand: 1 of 6 or fewer, or 5 of 6 or more, of 64 equally likely outcomes: 14 / 64.
    assert find_p(5, 1) == pytest.approx(14 / 64)
    assert find_p(1, 5) == find_p(5, 1)
    assert find_p(0, 0) == 1
    assert find_p(3, 3) == 1
    # With many images it approaches the chi-square form with continuity correction.
    assert find_p(560, 440) == pytest.approx(chi2.sf((120 - 1) ** 2 / 1000, 1), rel=0.02)


def flip_all(sums: list[int]) -> float:
    """The two-sided p-value, by every flip of signs there is."""
    found = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=len(sums))]
    return float(np.mean(np.array(found) >= abs(sum(sums))))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_groups_are_tested_by_all_flips_of_their_signs(sums: list[int]) -> None:
    images = [np.sign(one) * (np.arange(4) < abs(one)) for one in sums]
    groups = np.repeat(np.arange(len(sums)), 4)
    gaps = np.concatenate(images).astype(np.int64)
    found = compare(gaps > 0, gaps < 0, groups)
    assert found.p_value == pytest.approx(flip_all(sums))
    alone = compare(gaps > 0, gaps < 0)
    if found.won + found.lost:
        expected = binomtest(found.won, found.won + found.lost).pvalue
        assert alone.p_value == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 200), st.integers(1, 12), st.floats(-0.4, 0.4), st.integers(0, 10**6),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)  # fmt: skip
def test_interval_and_p_value_never_contradict_each_other(
    groups: int, size: int, lead: float, seed: int, level: float
) -> None:
    random = np.random.default_rng(seed)
    members = random.integers(0, size, groups).repeat(random.integers(1, size + 1))
    for gaps in (
        (random.random(len(members)) < 0.5 + lead).astype(np.int64) - (random.random() < 0.5),
        random.normal(lead, 1, len(members)),
    ):
        found = compare_gaps(gaps, members, level)
        assert found.low <= found.value <= found.high
        assert (found.low > 0 or found.high < 0) == (found.p_value <= 1 - level + 1e-12)
        assert (found.low > 0) == (found.p_better <= (1 - level) / 2 + 1e-12)


def test_losses_are_tested_as_scipy_does() -> None:
    random = np.random.default_rng(0)
    gaps = random.normal(0.15, 1, 150)
    oracle = permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=20_000, rng=random
    )
    assert compare_gaps(gaps).p_value == pytest.approx(oracle.pvalue, abs=0.02)


def test_copies_in_one_group_are_no_new_evidence() -> None:
    ours, theirs = answers(300)
    once = compare(ours, theirs)
    groups = np.repeat(np.arange(300), 9)
    copied = compare(np.repeat(ours, 9), np.repeat(theirs, 9), groups)
    assert copied.p_value == pytest.approx(once.p_value)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-3)
    blind = compare(np.repeat(ours, 9), np.repeat(theirs, 9))
    assert blind.high - blind.low < 0.5 * (once.high - once.low)


def test_equal_models_are_seldom_told_apart_though_groups_are_alike() -> None:
    """60 groups of 10: by images, McNemar's test calls every second pair different."""
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 10)
    false = blind = 0
    for _ in range(100):
        ours, theirs = (np.repeat(random.random(60) < 0.85, 10) for _ in range(2))
        false += compare(ours, theirs, groups).p_value < 0.05
        blind += compare(ours, theirs).p_value < 0.05
    assert false <= 9  # 5 % of 100, and chance
    assert blind >= 30


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
    other = compare(wrong, right)
    assert (other.low, other.high) == (-found.high, -found.low)
    assert compare(right, wrong, np.array([0, 0, 1])).low < found.low


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


def test_strata_keep_their_number_of_groups_and_show_their_spread() -> None:
    labels = np.repeat([0, 1, 2, 3], [6, 40, 1, 1])
    groups = np.repeat(np.arange(26), [2, 2, 2, *[2] * 20, 1, 1, 0])[: len(labels)]
    groups = np.unique(groups, return_inverse=True)[1]
    strata = create_strata(labels, groups)
    assert strata is not None
    assert np.bincount(strata).tolist() == [3, 20, 2]  # two classes of one group are one stratum
    weights = np.concatenate(list(draw_weights(groups, 4000, strata=strata)))
    assert weights[:, labels == 0].sum(axis=1) == pytest.approx(6)
    assert weights[:, labels == 1].sum(axis=1) == pytest.approx(40)
    # The spread of a mean is that of the textbook: s² / n of the groups.
    values = np.random.default_rng(0).normal(0, 1, 20)
    shown = (weights[:, labels == 1] @ np.repeat(values, 2) / 40).std()
    assert shown == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=0.05)
    assert create_strata(np.zeros(5, int), np.zeros(5, int)) is None

"""Laws through points that few images judged: no certainty from few answers, no lost gain."""

from __future__ import annotations

import numpy as np
import pytest

from components.train.probe.part_fits import Curves, forecast
from components.train.probe.scarce import draw_curves

SIZES = np.array([60, 120, 240, 480])


def learn(counts: list[int], images: int, group: int = 1) -> Curves:
    """Return curves where so many images are named wrongly at each point, always the first."""
    wrong = np.zeros((len(counts), images))
    for point, count in enumerate(counts):
        wrong[point, :count] = 1
    return draw_curves(SIZES[-len(counts) :], wrong, np.arange(images) // group, seed=0)


def test_of_many_images_an_error_that_halves_will_be_a_little_less_than_half() -> None:
    found = learn([4000, 2000, 1000, 500], 10_000)
    assert found.seen == pytest.approx([0.4, 0.2, 0.1, 0.05])
    gain = forecast(found.laws, 480, 480, found.flips, 10**9)[1]
    assert gain.low <= 0.025 <= gain.high  # 0.05 → 0.025, by n^-1
    assert gain.value == pytest.approx(0.025, rel=0.15)


def test_an_error_at_rest_gains_nothing() -> None:
    found = learn([1000, 1000, 1000, 1000], 10_000)
    gain = forecast(found.laws, 480, 480, found.flips, 10**9)[1]
    assert abs(gain.value) < 0.004


def test_no_mistake_of_few_images_is_no_certainty() -> None:
    found = learn([7, 4, 2, 0], 120)
    assert found.seen[-1] == 0
    errors = np.quantile(found.errors[:, -1], [0.05, 0.95])
    # By the rule of three 0 of 120 may be 2.5 % (95 %).
    assert errors[0] < 0.01 < errors[1] < 0.04
    gain = forecast(found.laws, 480, 480, found.flips, 10**9)[1]
    assert gain.high > 0.005


def test_groups_are_drawn_whole() -> None:
    """Twenty images that go together say less than twenty that do not."""
    counts = [400, 300, 200, 100]
    alone, bound = learn(counts, 2000), learn(counts, 2000, group=20)
    spread = [one.errors[:, -1].std() for one in (alone, bound)]
    assert spread[0] == pytest.approx(np.sqrt(0.05 * 0.95 / 2000), rel=0.1)
    assert spread[1] == pytest.approx(spread[0] * np.sqrt(20), rel=0.15)


def test_three_points_are_enough() -> None:
    found = learn([300, 200, 100], 2000)
    gain = forecast(found.laws, 480, 480, found.flips, 1000)[1]
    assert 0 < gain.value < 0.05
    assert np.isfinite([gain.low, gain.high]).all()

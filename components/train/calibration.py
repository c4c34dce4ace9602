"""One number that makes the probabilities honest: the temperature."""

from __future__ import annotations

import numpy as np

from components.train.probe import compute_log_loss


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

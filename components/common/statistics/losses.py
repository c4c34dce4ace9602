"""The loss of each image, from its probabilities."""

from __future__ import annotations

import numpy as np


def compute_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return -log of the probability of the true class of each image, nats, (images,).

    Args:
        probabilities: (images, classes).
        labels: (images,), position of the true class.
    """
    true = probabilities[np.arange(len(labels)), labels]
    # As scikit-learn bounds it.
    return np.asarray(-np.log(np.maximum(true, np.finfo(np.float64).eps)))

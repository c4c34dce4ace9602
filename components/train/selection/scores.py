"""How good logits are: the two figures by which training chooses."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.model import compute_probabilities


def compute_log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image, nats: (images,) from (images, classes)."""
    return -np.log(compute_own(logits, labels) + 1e-12)


def compute_log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy, in nats."""
    return float(compute_log_losses(logits, labels).mean())


def compute_own(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each image's own label: (images,)."""
    return np.asarray(compute_probabilities(logits, 1.0)[np.arange(len(labels)), labels])


def compute_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose greatest logit is that of their label."""
    return float((logits.argmax(axis=1) == labels).mean())

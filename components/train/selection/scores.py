"""How good logits are: the two figures by which training chooses."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.model import compute_probabilities


def compute_log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy, in nats."""
    probabilities = compute_probabilities(logits, 1.0)
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def compute_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose greatest logit is that of their label."""
    return float((logits.argmax(axis=1) == labels).mean())

"""At which confidence may one automate? Coverage and error above a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.statistics.shares import Sampling, compute_share_interval

STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
NOTHING_SURE = 1.0


@dataclass(frozen=True)
class Threshold:
    """What becomes of the images that the model is at least so sure of."""

    threshold: float
    images: int  # with a probability of at least the threshold
    coverage: float  # their share of all
    error: float | None  # share of them that is wrong; None without images
    error_interval: list[float] | None


def choose_threshold(confidence: np.ndarray, correct: np.ndarray, max_error: float) -> float:
    """Return the lowest threshold above which at most `max_error` of the answers are wrong.

    It lies half way between the last image that is answered and the first that is not. 0: all may
    be answered. 1: no threshold keeps the error so low.

    Args:
        confidence: (images,), probability of the predicted class.
        correct: bool (images,).
        max_error: share.
    """
    order = np.argsort(-confidence, kind="stable")
    sure = confidence[order]
    error = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
    # A threshold takes all images of one confidence, or none.
    is_end = np.append(sure[:-1] != sure[1:], True)
    fits = np.flatnonzero((error <= max_error + 1e-12) & is_end)
    if not len(fits):
        return NOTHING_SURE
    last = int(fits[-1])
    return 0.0 if last == len(order) - 1 else float((sure[last] + sure[last + 1]) / 2)


def compute_threshold(
    confidence: np.ndarray, correct: np.ndarray, threshold: float, sampling: Sampling
) -> Threshold:
    """Return coverage and error above one threshold."""
    sure = confidence >= threshold
    images = int(sure.sum())
    ends = None
    if images:
        ends = compute_share_interval(~correct[sure], sampling.groups[sure], sampling.level)
    return Threshold(
        threshold=threshold,
        images=images,
        coverage=images / len(confidence),
        error=float(np.mean(~correct[sure])) if images else None,
        error_interval=list(ends) if ends else None,
    )


def compute_curve(confidence: np.ndarray, correct: np.ndarray, points: int = 200) -> np.ndarray:
    """Return (points, 3): threshold, coverage and error, from the surest image to all of them."""
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    error = np.cumsum(~correct[order]) / count
    table = np.stack([confidence[order], count / len(order), error], axis=1)
    shown = np.unique(np.linspace(0, len(order) - 1, min(points, len(order))).astype(int))
    return np.asarray(table[shown])

"""Calibration: whether the model is right as often as it says it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.statistics.shares import Sampling, compute_share_interval

BINS = 15  # of equal width; Guo et al. 2017, On Calibration of Modern Neural Networks


@dataclass(frozen=True)
class Bin:
    """The images whose confidence lies in one range."""

    low: float
    high: float  # included
    images: int
    confidence: float | None  # mean probability of the predicted class; None without images
    accuracy: float | None  # share that is right; None without images
    accuracy_interval: list[float] | None


def assign_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each image, int64 (images,): bin i is ]i / bins, (i + 1) / bins]."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1))


def compute_bins(
    confidence: np.ndarray, correct: np.ndarray, sampling: Sampling, bins: int = BINS
) -> list[Bin]:
    """Return the bins of a reliability diagram.

    Args:
        confidence: (images,), probability of the predicted class.
        correct: bool (images,).
        sampling: groups and level.
        bins: number of bins of equal width from 0 to 1.
    """
    place = assign_bins(confidence, bins)
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, bins), np.bincount(place, correct, bins)
    groups, level = sampling.groups, sampling.level

    def find_ends(i: int) -> list[float] | None:
        own = place == i
        return list(compute_share_interval(correct[own], groups[own], level)) if counts[i] else None

    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            images=int(counts[i]),
            confidence=float(sums[0][i] / counts[i]) if counts[i] else None,
            accuracy=float(sums[1][i] / counts[i]) if counts[i] else None,
            accuracy_interval=find_ends(i),
        )
        for i in range(bins)
    ]


def compute_ece(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: Σ share of images in a bin · |accuracy - confidence|.

    Naeini et al. 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning.
    """
    gap = np.bincount(assign_bins(confidence, bins), confidence - correct, bins)
    return float(np.abs(gap).sum() / len(confidence))


def compute_gaps(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """Return Σ (confidence - right) of each bin as a share of all images, (weightings, bins).

    Their absolute values sum to the ECE.

    Args:
        confidence: (images,), probability of the predicted class.
        correct: bool (images,).
        weights: (weightings, images), how often each image counts.
        bins: number of bins of equal width from 0 to 1.
    """
    from scipy.sparse import csr_array

    images = np.arange(len(confidence))
    gap = csr_array(
        (confidence - correct, (images, assign_bins(confidence, bins))), (len(images), bins)
    )
    return np.asarray(weights @ gap / weights.sum(axis=1, keepdims=True))

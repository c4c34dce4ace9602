"""The probe's head: a linear classifier on features, fitted to convergence, in one of some ways."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from components.common.host import limit_blas

ABSENT = -30.0  # logit of a class without an image: a probability of about 1e-13
# A feature that hardly varies says nothing, and would be blown up: its spread counts as so much of
# the others'.
LEAST_SPREAD = 0.01
LOGISTIC, MEANS = "logistic regression", "nearest mean"


@dataclass(frozen=True)
class Way:
    """How a head is fitted."""

    kind: str  # LOGISTIC or MEANS
    standardised: bool = False  # each feature to mean 0 and spread 1 before; folded in afterwards
    penalty: float = 1.0  # inverse strength of the L2 penalty; nearest mean has none
    temperature: float = 1.0  # its logits are divided by this: a strong penalty makes them too flat

    def describe(self) -> str:
        """Return it in words."""
        on = f"{self.kind} on {'standardised ' if self.standardised else ''}features"
        return f"{on}, penalty 1/{self.penalty:g}" if self.kind == LOGISTIC else on


@dataclass(frozen=True)
class Head:
    """A linear classifier on features."""

    weights: np.ndarray  # float32 (channels, classes)
    bias: np.ndarray  # float32 (classes,)
    way: Way  # in which it was fitted

    def compute_logits(self, features: np.ndarray) -> np.ndarray:
        """Return (images, classes) from (images, channels)."""
        with limit_blas(features.size * self.weights.shape[1]):
            return np.asarray(features @ self.weights + self.bias)


def fit_way(way: Way, features: np.ndarray, labels: np.ndarray, classes: int) -> Head:
    """Return a head, fitted.

    Args:
        way: how.
        features: (images, channels).
        labels: (images,), 0 to classes - 1, of two classes or more.
        classes: number of classes; one without an image gets a head that never answers it.
    """
    fit = fit_means if way.kind == MEANS else fit_logistic
    with limit_blas(features.size * classes):
        if not way.standardised:
            weights, bias = fit(features, labels, way.penalty, classes)
        else:
            mean, spread = features.mean(axis=0), find_spread(features)
            weights, bias = fit((features - mean) / spread, labels, way.penalty, classes)
            weights = weights / spread[:, None]
            bias = bias - mean @ weights
    known = np.bincount(labels, minlength=classes) > 0
    weights, bias = weights / way.temperature, np.where(known, bias / way.temperature, ABSENT)
    return Head(weights.astype(np.float32), bias.astype(np.float32), way)


def find_spread(features: np.ndarray) -> np.ndarray:
    """Return what standardising divides each feature by, (channels,) from (images, channels)."""
    spread = features.std(axis=0)
    return np.asarray(np.maximum(spread, LEAST_SPREAD * float(np.median(spread)) + 1e-12))


def scale_head(head: Head, temperature: float) -> Head:
    """Return the head with its logits divided by a temperature, on top of what it has."""
    bias = np.where(head.bias == ABSENT, ABSENT, head.bias / temperature)
    way = replace(head.way, temperature=head.way.temperature * temperature)
    return Head((head.weights / temperature).astype(np.float32), bias.astype(np.float32), way)


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, penalty: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (channels, classes) and bias (classes,) of a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Classes of one image each are classes all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        found = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
    known, bias = found.coef_.T, found.intercept_  # (channels, known), (known,)
    if len(found.classes_) == 2:  # scikit-learn gives one column, for the second class
        known, bias = np.hstack([-known, known]) / 2, np.array([-bias[0], bias[0]]) / 2
    weights, offsets = np.zeros((features.shape[1], classes)), np.zeros(classes)
    weights[:, found.classes_], offsets[found.classes_] = known, bias
    return weights, offsets


def fit_means(
    features: np.ndarray, labels: np.ndarray, penalty: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias of the classifier by the nearest class mean (Euclidean).

    Its logits are minus the squared distances, up to what all classes share: a linear function of
    the features. The mean of few images is known where a boundary between them is not (Snell et al.
    2017).
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    means = np.zeros((classes, features.shape[1]))
    np.add.at(means, labels, features)
    means /= counts[:, None]
    spread = float(((features - means[labels]) ** 2).sum(axis=1).mean()) or 1.0
    # In units of an image's mean squared distance from its own class: of a usual size.
    return 2 * means.T / spread, -(means**2).sum(axis=1) / spread

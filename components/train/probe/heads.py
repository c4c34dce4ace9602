"""The probe's head: a logistic regression on features, fitted to convergence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from components.train.selection.scores import compute_log_loss

# Inverse strength of the L2 penalty; the best is found well inside this range on small and large
# data.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
ABSENT = -30.0  # logit of a class without an image: a probability of about 1e-13


@dataclass(frozen=True)
class Head:
    """A linear classifier on features."""

    weights: np.ndarray  # float32 (channels, classes)
    bias: np.ndarray  # float32 (classes,)
    penalty: float  # the inverse strength that was chosen

    def compute_logits(self, features: np.ndarray) -> np.ndarray:
        """Return (images, classes) from (images, channels)."""
        return features @ self.weights + self.bias


def fit_head(
    features: np.ndarray,
    labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    classes: int,
) -> Head:
    """Fit logistic regressions of several penalties, return the one best on validation.

    Args:
        features: (images, channels) of the training split, which holds every class.
        labels: (images,), 0 to classes - 1.
        val_features: of the validation split.
        val_labels: of the validation split.
        classes: number of classes.
    """
    best, best_loss = None, np.inf
    for penalty in PENALTIES:
        head = fit_logistic(features, labels, penalty, classes)
        loss = compute_log_loss(head.compute_logits(val_features), val_labels)
        if loss < best_loss:
            best, best_loss = head, loss
        else:
            break  # the loss is convex in the strength: past the minimum it only rises
    assert best is not None
    return best


def fit_logistic(features: np.ndarray, labels: np.ndarray, penalty: float, classes: int) -> Head:
    """Return a logistic regression with an L2 penalty, fitted to convergence.

    Args:
        features: (images, channels).
        labels: (images,), 0 to classes - 1, of two classes or more.
        penalty: inverse strength.
        classes: number of classes; one without an image gets a head that never answers it.
    """
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Classes of one image each are classes all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        found = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
    weights, bias = found.coef_.T, found.intercept_  # (channels, known), (known,)
    if len(found.classes_) == 2:  # scikit-learn gives one column, for the second class
        weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    head = Head(
        np.zeros((features.shape[1], classes), np.float32),
        np.full(classes, ABSENT, np.float32),
        penalty,
    )
    head.weights[:, found.classes_], head.bias[found.classes_] = weights, bias
    return head

"""First phase, the linear probe: a head fitted on features that are extracted once.

The frozen network gives every image the same features in every epoch, so it runs over them once,
and a logistic regression is fitted to convergence in seconds (LP-FT: Kumar et al. 2022). The probe
is also the baseline that fine-tuning must beat.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.history import Epoch
from components.common.artifacts.model import LOGITS, compute_probabilities, take_part
from components.common.artifacts.predictions import Predictions
from components.common.shards.examples import Examples
from components.common.shards.forward import answer_split
from components.common.terminal import Stopwatch
from components.train.feed.batches import Recipe, create_batches, create_order
from components.train.networks.network import HEAD_INPUT, set_head
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward, within_memory
from components.train.runtime.machines import agree
from components.train.runtime.passes import Forward, run_forward
from components.train.selection.scores import compute_accuracy, compute_log_loss
from components.train.spec import Params

# Inverse strength of the L2 penalty; the best is found well inside this range on small and large
# data.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

PIECE_BATCHES = 20  # batches between two checkpoints
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


@dataclass(frozen=True)
class Probe:
    """What the first phase found."""

    epoch: Epoch  # its row of the history
    head: Head
    features: np.ndarray  # float32 (images, channels) of the training split
    val_features: np.ndarray  # of the validation split


def run_probe(
    network: Any,
    train: Examples,
    val: Examples,
    *,
    params: Params,
    recipe: Recipe,
    checkpoint: Checkpoint,
) -> Probe:
    """Fit the head on frozen features and put it into the network.

    Args:
        network: whole classifier, its head still random.
        train: the training split.
        val: the validation split, which chooses the penalty.
        params: of the room.
        recipe: of the second phase; its changes make further views.
        checkpoint: where features that are done are kept.
    """
    watch = Stopwatch()
    forward, batch_size = create_forward(take_part(network, HEAD_INPUT)), params.probe_batch_size
    features = extract_features(forward, train.pixels, batch_size, "train", checkpoint)
    val_features = extract_features(forward, val.pixels, batch_size, "val", checkpoint)
    known, labels = [features], [train.labels]
    for view in range(1, params.probe_views):
        known.append(_extract_view(forward, train, recipe, view, checkpoint))
        labels.append(train.labels)
    head = fit_head(
        np.concatenate(known), np.concatenate(labels), val_features, val.labels, recipe.classes
    )
    head = Head(agree(head.weights), agree(head.bias), float(agree(head.penalty)))
    set_head(network, head.weights, head.bias)
    logits, val_logits = head.compute_logits(features), head.compute_logits(val_features)
    epoch = Epoch(
        phase="probe",
        epoch=0,
        learning_rate=None,
        train_loss=compute_log_loss(logits, train.labels),
        train_accuracy=compute_accuracy(logits, train.labels),
        val_loss=compute_log_loss(val_logits, val.labels),
        val_accuracy=compute_accuracy(val_logits, val.labels),
        seconds=watch.seconds,
        images_per_second=(len(labels) * len(features) + len(val_features)) / watch.seconds,
    )
    return Probe(epoch, head, features, val_features)


def extract_features(
    forward: Forward, pixels: Any, batch_size: int, what: str, checkpoint: Checkpoint
) -> np.ndarray:
    """Run a frozen network over images once, or go on where an earlier run was stopped.

    Args:
        forward: pixels → features.
        pixels: uint8 (images, size_px, size_px, 3).
        batch_size: images in one forward pass.
        what: their name, for the progress bar and the checkpoint.
        checkpoint: where the features are kept, piece by piece.

    Returns:
        float32 array (images, channels).
    """
    done: list[np.ndarray] = []
    while found := checkpoint.load(f"features-{what}-{len(done):05d}"):
        done.append(found[1]["features"])
    piece = batch_size * PIECE_BATCHES

    def extract_rest(size: int) -> None:
        for start in range(sum(map(len, done)), len(pixels), piece):
            rows = np.arange(start, min(start + piece, len(pixels)))
            features = run_forward(forward, pixels, size, what, rows)
            checkpoint.save(f"features-{what}-{len(done):05d}", {}, {"features": features})
            done.append(features)

    within_memory(batch_size, extract_rest)
    return np.concatenate(done)


def answer_test(network: Any, shards: Path, dataset: Dataset, batch_size: int) -> Predictions:
    """Return what the network, as it is now, says of the test images.

    Nothing in training looks at it: evaluate compares the finished model with the probe by it.
    """
    forward = create_forward(take_part(network, LOGITS))
    found = within_memory(
        batch_size, lambda size: answer_split(forward, shards, "test", dataset, size)
    )
    return found.with_probabilities(dataset.class_names, compute_probabilities(found.logits, 1.0))


def _extract_view(
    forward: Forward, train: Examples, recipe: Recipe, view: int, checkpoint: Checkpoint
) -> np.ndarray:
    """Return the features of the training images, each changed as fine-tuning would change it."""
    part = f"features-view-{view}"
    if found := checkpoint.load(part):
        return found[1]["features"]
    plain = replace(
        recipe, augment=replace(recipe.augment, mixup=0.0, cutmix=0.0), process=0, processes=1
    )
    plain = replace(plain, finetune=replace(plain.finetune, balance="none"))
    order, features = create_order(train.labels, plain, view), []
    for batch in create_batches(train, plain, view):
        pixels = batch[0].numpy()
        again = partial(run_forward, forward, pixels, what=f"view {view}")
        features.append(within_memory(len(pixels), again))
    found_features = np.empty((len(order), features[0].shape[1]), np.float32)
    found_features[order] = np.concatenate(features)[: len(order)]  # the last batch was filled up
    checkpoint.save(part, {}, {"features": found_features})
    return found_features


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

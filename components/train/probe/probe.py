"""First phase, the linear probe: a head fitted on features that are extracted once.

The frozen network gives every image the same features in every epoch, so it runs over them once,
and a logistic regression is fitted to convergence in seconds (LP-FT: Kumar et al. 2022). The probe
is also the baseline that fine-tuning must beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.history import Epoch
from components.common.artifacts.model import LOGITS, compute_probabilities, take_part
from components.common.artifacts.predictions import Predictions
from components.common.shards.forward import answer_split
from components.common.terminal import Stopwatch
from components.train.feed.material import Material
from components.train.networks.network import HEAD_INPUT, set_head
from components.train.probe.choice import Known, choose_head
from components.train.probe.features import extract_features, extract_view
from components.train.probe.folds import number_groups
from components.train.probe.heads import Head, Way
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward, within_memory
from components.train.runtime.machines import agree
from components.train.selection.kept import Judged, compute_honest_losses
from components.train.selection.scores import compute_accuracy, compute_log_loss
from components.train.spec import Params

PART = "probe"  # of a checkpoint


@dataclass(frozen=True)
class Probe:
    """What the first phase found."""

    epoch: Epoch  # its row of the history
    head: Head
    features: np.ndarray  # float32 (images, channels) of the training split
    val_features: np.ndarray  # of the validation split
    losses: np.ndarray  # of each validation image, see compute_honest_losses
    accuracy: float  # on validation; where that is tiny, cross-validated on all images
    views: tuple[np.ndarray, ...] = ()  # features of further views of the training split

    @property
    def judged(self) -> Judged:
        """Its epoch as a competitor of those that follow."""
        return Judged(self.epoch, self.losses, self.head.compute_logits(self.val_features))


def run_probe(network: Any, material: Material, params: Params, checkpoint: Checkpoint) -> Probe:
    """Fit the head on frozen features and put it into the network.

    Args:
        network: whole classifier, its head still random.
        material: the splits, of which validation chooses the penalty, and the recipe, whose
            changes make further views.
        params: of the room.
        checkpoint: where features that are done are kept, and the fit.
    """
    watch, train, val = Stopwatch(), material.train, material.val
    forward, batch_size = create_forward(take_part(network, HEAD_INPUT)), params.probe_batch_size
    features = extract_features(forward, train.pixels, batch_size, "train", checkpoint)
    val_features = extract_features(forward, val.pixels, batch_size, "val", checkpoint)
    views = [features]
    for view in range(1, params.probe_views):
        views.append(extract_view(forward, material, view, checkpoint))
    found = checkpoint.load(PART)
    if found and found[0]["seed"] == params.seed:
        head = Head(found[1]["weights"], found[1]["bias"], Way(**found[0]["way"]))
        crossed = found[0]["crossed"]
    else:
        head, crossed = _choose(views, val_features, material, params.seed)
        head = Head(agree(head.weights), agree(head.bias), head.way)
        arrays = {"weights": head.weights, "bias": head.bias}
        meta = {"seed": params.seed, "way": asdict(head.way), "crossed": crossed}
        checkpoint.save(PART, meta, arrays)
    set_head(network, head.weights, head.bias)
    return _judge((head, crossed), views, val_features, material, watch)


def fit_part(whole: Probe, part: Material, rows: np.ndarray, seed: int) -> Probe:
    """Fit a head on some of the training images, from the features that are there.

    Args:
        whole: the probe of all.
        part: some of the training images, and the validation split.
        rows: which they are.
        seed: see :func:`choose_head`.
    """
    watch = Stopwatch()
    views = [view[rows] for view in (whole.features, *whole.views)]
    found = _choose(views, whole.val_features, part, seed)
    return _judge(found, views, whole.val_features, part, watch)


def _choose(
    views: Sequence[np.ndarray], val_features: np.ndarray, material: Material, seed: int
) -> tuple[Head, float | None]:
    """Return the head that suits the features of all views, and its accuracy where it is crossed.

    Crossed: found by cross-validation.
    """
    train, val, times = material.train, material.val, len(views)
    known = Known(
        np.concatenate(views),
        np.concatenate([train.labels] * times),
        val_features,
        val.labels,
        material.recipe.classes,
        number_groups([*train.units * times, *val.units]),
    )
    return choose_head(known, seed)


def _judge(
    chosen: tuple[Head, float | None],
    views: Sequence[np.ndarray],
    val_features: np.ndarray,
    material: Material,
    watch: Stopwatch,
) -> Probe:
    """Return the probe that a head makes, chosen with its accuracy as :func:`_choose` does."""
    (head, crossed), features = chosen, views[0]
    train, val = material.train, material.val
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
        images_per_second=(len(views) * len(features) + len(val_features)) / watch.seconds,
    )
    losses = agree(compute_honest_losses(val_logits, val.labels))
    accuracy = epoch.val_accuracy if crossed is None else min(crossed, epoch.val_accuracy)
    own = float(agree(accuracy))
    return Probe(epoch, head, features, val_features, losses, own, tuple(views[1:]))


def answer_test(network: Any, shards: Path, dataset: Dataset, batch_size: int) -> Predictions:
    """Return what the network, as it is now, says of the test images.

    Nothing in training looks at it: evaluate compares the finished model with the probe by it.
    """
    forward = create_forward(take_part(network, LOGITS))
    found = within_memory(
        batch_size, lambda size: answer_split(forward, shards, "test", dataset, size)
    )
    return found.with_probabilities(dataset.class_names, compute_probabilities(found.logits, 1.0))

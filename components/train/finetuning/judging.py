"""What a state of the network is worth: its answers to the validation split."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.history import Epoch
from components.train.finetuning.fitting import Finetuning
from components.train.finetuning.optimizers import read_learning_rate
from components.train.finetuning.saving import Clock
from components.train.runtime.machines import agree
from components.train.selection.kept import Judged, compute_honest_losses
from components.train.selection.scores import compute_accuracy, compute_log_loss


def judge_epoch(phase: Finetuning, means: tuple[float, float], clock: Clock) -> Judged:
    """Return an epoch that was just trained, by the weights as they are.

    Args:
        phase: at the end of the epoch.
        means: loss and accuracy of its steps.
        clock: that runs since the last of them.
    """
    progress = phase.progress
    losses, val_loss, val_accuracy = score(phase.judge(), phase.material.val.labels)
    row = Epoch(
        phase="fine-tune",
        epoch=progress.number,
        learning_rate=read_learning_rate(phase.optimizer),
        train_loss=means[0],
        train_accuracy=means[1],
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=progress.seconds + clock.lap(),
        images_per_second=phase.material.images / progress.seconds,
    )
    return Judged(row, losses)


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return each image's loss, the mean loss of the logits as they are, and the accuracy."""
    losses = agree(compute_honest_losses(logits, labels))
    found = agree(np.array([compute_log_loss(logits, labels), compute_accuracy(logits, labels)]))
    return losses, float(found[0]), float(found[1])

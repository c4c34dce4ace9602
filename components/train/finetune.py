"""Second phase: the unfrozen network is trained from the probe on; one epoch of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from components.common.backend import keras
from components.common.examples import Examples
from components.common.terminal import bar, say
from components.train.batches import Recipe
from components.train.checkpoint import Checkpoint
from components.train.fitting import Finetuning, Progress, to_numpy
from components.train.history import Epoch, find_best, find_kept
from components.train.machines import agree
from components.train.optimizers import read_learning_rate
from components.train.preflight import start_phase
from components.train.probe import compute_accuracy, compute_log_loss

# Steps between two looks at the run, which may save it.
SEGMENT_STEPS = 50
# A checkpoint is written when the last one is so many times older than it took to write: large
# networks would else wait for their disk.
REST = 25
PART = "finetune"


def run_finetuning(
    network: keras.Model,
    train: Examples,
    val: Examples,
    *,
    recipe: Recipe,
    first: Epoch,
    checkpoint: Checkpoint,
    budget_minutes: float = 0,
) -> Iterator[Epoch]:
    """Train the network, yield each epoch as it ends, and leave the weights to keep in it.

    Which those are says :func:`find_kept`; the probe, from which training starts, competes as
    well. BatchNorm keeps its ImageNet statistics. Epochs of an earlier run that was killed are
    yielded again, as they were.

    Args:
        network: with the probe's head, unfrozen as far as wanted.
        train: the training split.
        val: the validation split.
        recipe: settings, seed, and whether to mirror.
        first: the probe's row of the history.
        checkpoint: where the run stands.
        budget_minutes: the schedule gets as many epochs as fit; 0: all.
    """
    best_weights = [to_numpy(weight) for weight in network.weights]
    epochs, phase = [first], None
    if found := checkpoint.load(PART):
        meta, arrays = found
        phase = Finetuning(network, train, val, recipe, Progress(**meta))
        best_weights = [arrays.pop(f"b{number}") for number in range(len(network.weights))]
        phase.write_state(arrays)
        for row in phase.progress.done:
            epochs.append(Epoch(**row))
            yield epochs[-1]
        where = f"epoch {phase.progress.epoch}, step {phase.progress.step}"
        say(f"going on where an earlier run was stopped: fine-tuning, {where}")
    if phase is None:
        phase = start_phase(network, train, val, recipe, budget_minutes)
    progress = phase.progress
    saving = Saving(checkpoint)

    def save(always: bool) -> None:
        if checkpoint.writes and (saving.is_due() or always):
            kept = {f"b{number}": weight for number, weight in enumerate(best_weights)}
            saving.save(asdict(progress), phase.read_state() | kept)

    with bar("fine-tuning", "steps", phase.steps * progress.epochs) as shown:
        shown.update((progress.epoch - 1) * phase.steps)
        while progress.epoch <= progress.epochs and not _is_stuck(epochs, recipe.finetune.patience):
            start = time.perf_counter()

            shown.update(progress.step)

            def stand() -> None:
                nonlocal start
                shown.update(SEGMENT_STEPS)
                now = time.perf_counter()
                progress.seconds, start = progress.seconds + now - start, now
                save(always=False)

            rest = range(progress.step, phase.steps)
            loss, accuracy = phase.fit(rest, SEGMENT_STEPS, stand)
            shown.update(phase.steps % SEGMENT_STEPS or SEGMENT_STEPS)
            fitted = progress.seconds + time.perf_counter() - start
            with phase.averaged():
                logits = phase.judge()
                judged = compute_log_loss(logits, val.labels), compute_accuracy(logits, val.labels)
                val_loss, val_accuracy = (float(number) for number in agree(np.array(judged)))
                epoch = Epoch(
                    phase="fine-tune",
                    epoch=progress.epoch,
                    learning_rate=read_learning_rate(phase.optimizer),
                    train_loss=loss,
                    train_accuracy=accuracy,
                    val_loss=val_loss,
                    val_accuracy=val_accuracy,
                    seconds=progress.seconds + time.perf_counter() - start,
                    images_per_second=len(train.labels) / fitted,
                )
                epochs.append(epoch)
                if find_kept(epochs, len(val.labels)) is epoch:
                    best_weights = [to_numpy(weight) for weight in network.weights]
            progress.done.append(asdict(epoch))
            progress.epoch, progress.step = progress.epoch + 1, 0
            progress.loss = progress.accuracy = progress.seconds = 0.0
            save(always=True)
            yield epoch
    for weight, value in zip(network.weights, best_weights, strict=True):
        weight.assign(value)


class Saving:
    """When to write a checkpoint: often, as long as it costs little."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint, self.took, self.last = checkpoint, 0.0, 0.0

    def is_due(self) -> bool:
        """Whether the last one is old enough; the first is due at once."""
        return time.perf_counter() - self.last >= REST * self.took

    def save(self, meta: dict[str, object], arrays: dict[str, np.ndarray]) -> None:
        """Write one."""
        start = time.perf_counter()
        self.checkpoint.save(PART, meta, arrays)
        self.last = time.perf_counter()
        self.took = self.last - start


def _is_stuck(epochs: list[Epoch], patience: int) -> bool:
    """Whether the best epoch lies too many epochs back; 0: never."""
    best = find_best(epochs).epoch
    if not patience or epochs[-1].epoch - best < patience:
        return False
    say(f"stopping early: no better epoch since epoch {best}")
    return True

"""Second phase: the unfrozen network is trained from the probe on; one epoch of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from components.common.artifacts.history import Epoch
from components.common.backend import keras
from components.common.terminal import bar, say
from components.train.feed.material import Material
from components.train.finetuning.fitting import Finetuning, Progress, to_numpy
from components.train.finetuning.optimizers import read_learning_rate
from components.train.finetuning.preflight import start_phase
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.machines import agree
from components.train.selection.kept import find_best, find_kept
from components.train.selection.scores import compute_accuracy, compute_log_loss

# Steps between two looks at the run, which may save it.
SEGMENT_STEPS = 50
# A checkpoint is written when the last one is so many times older than it took to write: large
# networks would else wait for their disk.
REST = 25
PART = "finetune"


def run_finetuning(
    network: keras.Model,
    material: Material,
    *,
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
        material: the splits, and the recipe.
        first: the probe's row of the history.
        checkpoint: where the run stands.
        budget_minutes: the schedule gets as many epochs as fit; 0: all.
    """
    best_weights = [to_numpy(weight) for weight in network.weights]
    patience, val_images = material.recipe.finetune.patience, len(material.val.labels)
    epochs, phase = [first], None
    if found := checkpoint.load(PART):
        meta, arrays = found
        phase = Finetuning(network, material, Progress(**meta))
        best_weights = [arrays.pop(f"b{number}") for number in range(len(network.weights))]
        phase.write_state(arrays)
        for row in phase.progress.done:
            epochs.append(Epoch(**row))
            yield epochs[-1]
        where = f"epoch {phase.progress.epoch}, step {phase.progress.step}"
        say(f"going on where an earlier run was stopped: fine-tuning, {where}")
    if phase is None:
        phase = start_phase(network, material, budget_minutes)
    progress, saving, clock = phase.progress, Saving(checkpoint), Clock()

    def save() -> None:
        kept = {f"b{number}": weight for number, weight in enumerate(best_weights)}
        saving.save(asdict(progress), phase.read_state() | kept)

    with bar("fine-tuning", "steps", phase.steps * progress.epochs) as shown:
        shown.update((progress.epoch - 1) * phase.steps + progress.step)

        def look() -> None:
            shown.update(SEGMENT_STEPS)
            progress.seconds += clock.lap()
            if saving.is_due():
                save()

        while progress.epoch <= progress.epochs and not _is_stuck(epochs, patience):
            clock.lap()
            means = phase.fit(range(progress.step, phase.steps), SEGMENT_STEPS, look)
            shown.update(phase.steps % SEGMENT_STEPS or SEGMENT_STEPS)
            progress.seconds += clock.lap()
            with phase.averaged():
                epochs.append(_judge(phase, means, clock))
                if find_kept(epochs, val_images) is epochs[-1]:
                    best_weights = [to_numpy(weight) for weight in network.weights]
            progress.end_epoch(asdict(epochs[-1]))
            save()
            yield epochs[-1]
    for weight, value in zip(network.weights, best_weights, strict=True):
        weight.assign(value)


def _judge(phase: Finetuning, means: tuple[float, float], clock: Clock) -> Epoch:
    """Return the row of an epoch that was just trained, by the weights as they are."""
    progress, labels = phase.progress, phase.material.val.labels
    logits = phase.judge()
    found = compute_log_loss(logits, labels), compute_accuracy(logits, labels)
    val_loss, val_accuracy = (float(number) for number in agree(np.array(found)))
    return Epoch(
        phase="fine-tune",
        epoch=progress.epoch,
        learning_rate=read_learning_rate(phase.optimizer),
        train_loss=means[0],
        train_accuracy=means[1],
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=progress.seconds + clock.lap(),
        images_per_second=len(phase.material.train.labels) / progress.seconds,
    )


class Clock:
    """Seconds between one look at it and the next."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last time."""
        before, self.last = self.last, time.perf_counter()
        return self.last - before


class Saving:
    """When to write a checkpoint: often, as long as it costs little."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint, self.took, self.last = checkpoint, 0.0, 0.0

    def is_due(self) -> bool:
        """Whether the last one is old enough; the first is due at once."""
        return self.checkpoint.writes and time.perf_counter() - self.last >= REST * self.took

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

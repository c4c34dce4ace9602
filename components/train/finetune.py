"""Second phase: the unfrozen network is trained from the probe on; one epoch of it is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from components.common.backend import keras
from components.common.errors import DarkroomError
from components.common.examples import Examples
from components.common.model import LOGITS
from components.common.terminal import bar, say
from components.train.batches import Recipe, create_batches
from components.train.checkpoint import Checkpoint
from components.train.devices import create_forward
from components.train.history import Epoch, find_best, find_kept
from components.train.network import take_part
from components.train.optimizers import compute_scales, create_optimizer, read_learning_rate
from components.train.preflight import measure_speed
from components.train.probe import compute_accuracy, compute_log_loss, run_forward

# Steps between two checkpoints: a kill costs at most so many.
SEGMENT_STEPS = 50
PART = "finetune"
# How TensorFlow, XLA and Python say that memory is short.
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM when allocating", "out of memory")


@dataclass
class Progress:
    """Where the phase stands; with the arrays beside it, all that going on needs."""

    epochs: int  # that the schedule is made for
    accumulate: int = 1  # parts into which a batch is cut for want of memory
    epoch: int = 1
    step: int = 0  # of the epoch, done
    loss: float = 0.0  # sum over the steps of this epoch
    accuracy: float = 0.0
    seconds: float = 0.0
    done: list[dict[str, Any]] = field(default_factory=list)  # epochs, as Epoch has them


class Finetuning:
    """A network in training."""

    def __init__(
        self, network: keras.Model, train: Examples, val: Examples, recipe: Recipe, progress: Any
    ) -> None:
        self.train, self.val, self.recipe, self.progress = train, val, recipe, progress
        self.steps = recipe.count_steps(len(train.labels))
        self.model = take_part(network, LOGITS)
        settings = recipe.finetune
        self.optimizer = create_optimizer(
            settings,
            self.steps * progress.epochs,
            compute_scales(self.model, settings.layer_decay),
            progress.accumulate,
        )
        self.model.compile(
            optimizer=self.optimizer,
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=settings.label_smoothing
            ),
            metrics=["accuracy"],
            # On CPU compiling the graph costs more than it gains on runs of minutes.
            jit_compile=keras.backend.backend() == "jax" or has_gpu(),
        )
        self.optimizer.build(self.model.trainable_variables)

    def fit(self, steps: range) -> tuple[float, float]:
        """Train on some batches of the epoch; return mean loss and accuracy.

        Raises:
            DarkroomError: if the loss is no number any more.
        """
        batches = create_batches(self.train, self.recipe, self.progress.epoch, steps)
        if self.progress.accumulate > 1:
            size = self.recipe.batch_size(len(self.train.labels))
            batches = batches.unbatch().batch(max(1, size // self.progress.accumulate))
        found = self.model.fit(batches, epochs=1, shuffle=False, verbose=0).history
        loss = float(found["loss"][0])
        if not math.isfinite(loss):
            raise DarkroomError(
                f"train: the loss became {loss} in epoch {self.progress.epoch}; lower "
                "train.finetune.learning_rate, set train.finetune.clip_norm to 1, or set "
                "train.precision to float32"
            )
        return loss, float(found["accuracy"][0])

    def judge(self) -> np.ndarray:
        """Return the logits of the validation split, by the averaged weights."""
        return run_forward(create_forward(self.model), self.val.pixels, 64, "val")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean of the weights into the network while the body runs."""
        means = self.optimizer._model_variables_moving_average
        own = [to_numpy(v) for v in self.model.trainable_variables]
        for variable, mean in zip(self.model.trainable_variables, means, strict=True):
            variable.assign(to_numpy(mean))
        yield
        for variable, value in zip(self.model.trainable_variables, own, strict=True):
            variable.assign(value)

    def read_state(self) -> dict[str, np.ndarray]:
        """Return all numbers that the next step depends on."""
        variables = [*self.model.variables, *self.optimizer.variables]
        return {f"v{number}": to_numpy(variable) for number, variable in enumerate(variables)}

    def write_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what :meth:`read_state` gave."""
        for number, variable in enumerate([*self.model.variables, *self.optimizer.variables]):
            variable.assign(arrays[f"v{number}"])


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
        phase = _start(network, train, val, recipe, budget_minutes)
    progress = phase.progress

    def save() -> None:
        kept = {f"b{number}": weight for number, weight in enumerate(best_weights)}
        checkpoint.save(PART, asdict(progress), phase.read_state() | kept)

    with bar("fine-tuning", "steps", phase.steps * progress.epochs) as shown:
        shown.update((progress.epoch - 1) * phase.steps + progress.step)
        while progress.epoch <= progress.epochs:
            start = time.perf_counter()
            while progress.step < phase.steps:
                steps = range(progress.step, min(progress.step + SEGMENT_STEPS, phase.steps))
                loss, accuracy = phase.fit(steps)
                progress.loss += loss * len(steps)
                progress.accuracy += accuracy * len(steps)
                progress.step = steps.stop
                shown.update(len(steps))
                if progress.step < phase.steps:  # the end of an epoch is saved below
                    progress.seconds += time.perf_counter() - start
                    start = time.perf_counter()
                    save()
            fitted = progress.seconds + time.perf_counter() - start
            with phase.averaged():
                logits = phase.judge()
                epoch = Epoch(
                    phase="fine-tune",
                    epoch=progress.epoch,
                    learning_rate=read_learning_rate(phase.optimizer),
                    train_loss=progress.loss / phase.steps,
                    train_accuracy=progress.accuracy / phase.steps,
                    val_loss=compute_log_loss(logits, val.labels),
                    val_accuracy=compute_accuracy(logits, val.labels),
                    seconds=progress.seconds + time.perf_counter() - start,
                    images_per_second=len(train.labels) / fitted,
                )
                epochs.append(epoch)
                if find_kept(epochs, len(val.labels)) is epoch:
                    best_weights = [to_numpy(weight) for weight in network.weights]
            progress.done.append(asdict(epoch))
            progress.epoch, progress.step = progress.epoch + 1, 0
            progress.loss = progress.accuracy = progress.seconds = 0.0
            save()
            yield epoch
            if _is_stuck(epochs, recipe.finetune.patience):
                break
    for weight, value in zip(network.weights, best_weights, strict=True):
        weight.assign(value)


def _is_stuck(epochs: list[Epoch], patience: int) -> bool:
    """Whether the best epoch lies too many epochs back; 0: never."""
    best = find_best(epochs).epoch
    if not patience or epochs[-1].epoch - best < patience:
        return False
    say(f"stopping early: no better epoch since epoch {best}")
    return True


def _start(
    network: keras.Model, train: Examples, val: Examples, recipe: Recipe, budget_minutes: float
) -> Finetuning:
    """Measure the speed, fit the schedule into the budget, and find a batch that memory holds.

    Raises:
        DarkroomError: if not even one image at a time fits.
    """
    epochs, accumulate = recipe.finetune.epochs, 1
    size = recipe.batch_size(len(train.labels))
    while True:
        phase = Finetuning(network, train, val, recipe, Progress(epochs, accumulate))
        before = phase.read_state()
        try:
            speed = measure_speed(phase)
        except Exception as error:  # each backend has its own exception for it
            if not any(words in f"{type(error).__name__} {error}" for words in OUT_OF_MEMORY):
                raise
            if size // accumulate < 2:
                raise DarkroomError(
                    "train: the device has too little memory for one image at a time; choose a "
                    "smaller train.backbone or preprocess.size_px"
                ) from None
            accumulate *= 2
            say(
                f"out of memory with {size * 2 // accumulate} images at once: going on with "
                f"{size // accumulate}, and {accumulate} parts to a step"
            )
            phase.write_state(before)
            continue
        phase.write_state(before)
        fitting = speed.count_epochs(budget_minutes) if budget_minutes else epochs
        say(speed.describe(min(epochs, fitting)))
        if fitting >= epochs:
            return phase
        epochs = fitting
        say(f"train.budget_minutes: {budget_minutes:g} min are enough for {epochs} epochs")
        return Finetuning(network, train, val, recipe, Progress(epochs, accumulate))


def to_numpy(variable: Any) -> np.ndarray:
    """Return a copy of a variable's value."""
    return np.array(keras.ops.convert_to_numpy(variable))


def has_gpu() -> bool:
    """Whether Keras sees a GPU."""
    return any("gpu" in name.lower() for name in keras.distribution.list_devices())

"""A network in training: its optimizer, its batches, and all that its next step depends on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.common.artifacts.model import LOGITS, take_part
from components.common.backend import keras
from components.common.errors import DarkroomError
from components.train.feed.batches import Feed
from components.train.feed.material import Material
from components.train.finetuning.optimizers import compute_scales, create_optimizer
from components.train.finetuning.remat import create_trained
from components.train.runtime.devices import create_forward, within_memory
from components.train.runtime.passes import run_forward


@dataclass
class Progress:
    """Where the phase stands; with the arrays beside it, all that going on needs."""

    epochs: int  # that the schedule is made for
    attempt: int = 0  # which of the plan's learning rates it has
    before: int = 0  # epochs of earlier attempts
    accumulate: int = 1  # parts into which a batch is cut for want of memory
    epoch: int = 1
    step: int = 0  # of the epoch, done
    loss: float = 0.0  # sum over the steps of this epoch
    accuracy: float = 0.0
    seconds: float = 0.0
    foretold: float = 0.0  # seconds of an epoch, as was said last
    done: list[dict[str, Any]] = field(default_factory=list)  # epochs, as Epoch has them

    @property
    def number(self) -> int:
        """The epoch's number in the history."""
        return self.before + self.epoch

    def end_epoch(self, row: dict[str, Any]) -> None:
        """Go on to the next epoch; `row` is the history's."""
        self.done.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss = self.accuracy = self.seconds = 0.0


class Finetuning:
    """A network in training."""

    def __init__(self, network: keras.Model, material: Material, progress: Progress) -> None:
        self.material, self.progress = material, progress
        self.feed = Feed(material.train, material.recipe)
        self.steps = material.steps
        settings = material.recipe.finetune
        self.model = create_trained(network, settings.remat)
        self.optimizer = create_optimizer(
            settings,
            self.steps * progress.epochs,
            compute_scales(take_part(network, LOGITS), settings.layer_decay),
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
        # In float16 Keras puts another around it, which scales the loss.
        self.model.optimizer.build(self.model.trainable_variables)
        self._forward = create_forward(self.model)

    def fit(
        self, steps: range, every: int = 0, tell: Callable[[], None] | None = None
    ) -> tuple[float, float]:
        """Train on the rest of an epoch, or a part of it; return the epoch's loss and accuracy.

        The batches come from one pipeline, so the network waits for its start once an epoch.

        Args:
            steps: of the epoch; the first is the one that `progress` stands at.
            every: steps between two calls of `tell`, which may read the state.
            tell: is called when `progress` has moved on.

        Raises:
            DarkroomError: if the loss is no number any more.
        """
        batches = self.feed.create_batches(self.progress.epoch, steps)
        if self.progress.accumulate > 1:
            own = self.material.batch_size // self.material.recipe.processes
            batches = batches.unbatch().batch(own // self.progress.accumulate)
        watch = _Watch(self, steps, every, tell)
        self.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[watch])
        self.note(steps.stop)
        return self.progress.loss / steps.stop, self.progress.accuracy / steps.stop

    def note(self, step: int) -> None:
        """Move `progress` on to a step of the epoch.

        Raises:
            DarkroomError: if the loss is no number any more.
        """
        means, progress = self.model.get_metrics_result(), self.progress
        loss, accuracy, steps = float(means["loss"]), float(means["accuracy"]), step - progress.step
        if not math.isfinite(loss):
            raise DarkroomError(
                f"train: the loss became {loss} in epoch {progress.epoch}; lower "
                "train.finetune.learning_rate, set train.finetune.clip_norm to 1, or set "
                "train.precision to float32"
            )
        progress.loss, progress.accuracy = (
            progress.loss + loss * steps,
            progress.accuracy + accuracy * steps,
        )
        progress.step = step
        self.model.reset_metrics()

    def judge(self) -> np.ndarray:
        """Return the logits of the validation split, by the weights as they are."""
        pixels = self.material.val.pixels
        return within_memory(64, lambda n: run_forward(self._forward, pixels, n, "val"))

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
        variables = enumerate(self._list_variables())
        return {f"v{number}": to_numpy(variable) for number, variable in variables}

    def write_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what :meth:`read_state` gave."""
        for number, variable in enumerate(self._list_variables()):
            variable.assign(arrays[f"v{number}"])

    def _list_variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Looks at a fit between two of its steps.

    At the beginning of a step, because Keras would wait for the device after every step if anybody
    wanted to know about its end.
    """

    def __init__(
        self, phase: Finetuning, steps: range, every: int, tell: Callable[[], None] | None
    ) -> None:
        super().__init__()
        self.phase, self.first, self.every, self.tell = phase, steps.start, every, tell

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step, rest = divmod(batch, self.phase.progress.accumulate)
        if self.tell is None or rest or step == 0 or (self.first + step) % self.every:
            return
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.phase.note(self.first + step)
        self.tell()


def to_numpy(variable: Any) -> np.ndarray:
    """Return a copy of a variable's value."""
    return np.array(keras.ops.convert_to_numpy(variable))


def has_gpu() -> bool:
    """Whether Keras sees a GPU."""
    return any("gpu" in name.lower() for name in keras.distribution.list_devices())

"""A few seconds of measuring before a run of minutes or days: what limits it, how long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from components.common.backend import keras, tf
from components.common.errors import DarkroomError
from components.common.host import describe_memory, find_free_memory
from components.common.terminal import describe_seconds, say
from components.train.feed.material import Material
from components.train.finetuning.fitting import Finetuning, Progress, has_gpu
from components.train.finetuning.memory import Need, estimate_need
from components.train.finetuning.remat import create_trained, has_blocks
from components.train.runtime.devices import TOO_LITTLE, is_out_of_memory
from components.train.runtime.machines import agree, any_of
from components.train.spec import Finetune

TRIAL_STEPS, TRIAL_SECONDS = 4, 2.0
# Validation runs forward only, about a third of the work of a training step.
FORWARD_SHARE = 1 / 3
# Bytes that were taken beyond what was reckoned, at most: libraries and buffers.
SPARE = 700_000_000
# What follows fine-tuning, of a stage with a budget: blends and calibration are looks at validation
# as one epoch has one; then the model is written.
LOOKS_AFTER, WRITING_SECONDS = 5, 10.0
# An estimate that is further off than this is said anew.
MISJUDGED = 0.2


@dataclass(frozen=True)
class Speed:
    """What a run will cost."""

    input: float  # images/s that input makes with nothing else running
    compute: float  # images/s of training steps with the batch in memory
    train_images: int  # that one epoch shows
    val_images: int
    shared: bool  # input and compute run on the same cores
    memory_mb: float  # of this process, resident

    @property
    def look_seconds(self) -> float:
        """Predicted time of judging the network on validation once."""
        return self.val_images * FORWARD_SHARE / self.compute

    @property
    def epoch_seconds(self) -> float:
        """Predicted time of one epoch, judging included."""
        made, computed = self.train_images / self.input, self.train_images / self.compute
        return (made + computed if self.shared else max(made, computed)) + self.look_seconds

    def count_epochs(self, seconds: float) -> int:
        """Return how many epochs fit, and what follows them."""
        rest = seconds - LOOKS_AFTER * self.look_seconds - WRITING_SECONDS
        return max(0, int(rest / self.epoch_seconds))

    def describe(self, epochs: int) -> str:
        """Return it in a sentence."""
        limit = "input" if self.input < self.compute else "compute"
        return (
            f"preflight: input {self.input:,.0f} images/s, compute {self.compute:,.0f} images/s: "
            f"{limit} limits; {self.memory_mb / 1e3:.1f} GB of memory in use; {epochs} epochs of "
            f"about {describe_seconds(self.epoch_seconds)}: "
            f"{describe_seconds(epochs * self.epoch_seconds)}"
        )


def start_phase(
    network: keras.Model, material: Material, progress: Progress, seconds_left: float | None = None
) -> Finetuning:
    """Measure the speed, fit the schedule into the budget, and find a batch that memory holds.

    Args:
        network: with the weights to begin with.
        material: the splits, and the recipe.
        progress: of a beginning, with the epochs that are wanted.
        seconds_left: of the stage's budget; None: it has none.

    Returns:
        The phase; its progress has the epochs that fit, none if not even one does.

    Raises:
        DarkroomError: if not even one image at a time fits.
    """
    size, own = material.batch_size, _count_own(material)
    began = time.perf_counter()
    progress = _cut_to_memory(network, material, progress)
    while True:
        phase = Finetuning(network, material, progress)
        before = phase.read_state()
        speed = _measure_within_memory(phase)
        phase.write_state(before)
        if any_of(speed is None):
            if progress.accumulate == own:
                raise DarkroomError(TOO_LITTLE)
            fits = size // progress.accumulate
            parts = _cut(progress.accumulate, own)
            progress = replace(progress, accumulate=parts)
            say(
                f"out of memory with {fits} images at once: going on with {size // parts}, and "
                f"{parts} parts to a step"
            )
            continue
        assert speed is not None
        progress.foretold = speed.epoch_seconds
        if seconds_left is None:
            say(speed.describe(progress.epochs))
            return phase
        left = seconds_left - (time.perf_counter() - began)
        fitting = min(progress.epochs, int(agree(np.int64(speed.count_epochs(left)))))
        say(speed.describe(fitting))
        if fitting == progress.epochs:
            return phase
        more = LOOKS_AFTER * speed.look_seconds + WRITING_SECONDS
        more += progress.epochs * speed.epoch_seconds - left
        say(
            f"train.budget_minutes: what is left of it is enough for {fitting} epochs; all "
            f"{progress.epochs} would want {describe_seconds(max(0.0, more))} more"
        )
        return Finetuning(network, material, replace(progress, epochs=fitting))


def correct_estimate(progress: Progress, took: float) -> None:
    """Say how long the rest takes where the last epoch took far longer or shorter than was said.

    Few steps are measured before the first, and whoever shares the machine comes and goes.

    Args:
        progress: at the beginning of the next epoch.
        took: seconds of the last.
    """
    said, left = progress.foretold, progress.epochs - progress.epoch + 1
    if not said or left < 1 or abs(took - said) <= MISJUDGED * said:
        return
    progress.foretold = took
    say(
        f"an epoch took {describe_seconds(took)}, not {describe_seconds(said)}: "
        f"{left} more want {describe_seconds(left * took)}"
    )


def _count_own(material: Material) -> int:
    """Return the images of a step on one device."""
    return material.batch_size // max(material.recipe.processes, material.recipe.devices)


def _cut(parts: int, own: int) -> int:
    """Return the next number of parts: equal ones, whose gradients' mean is the whole batch's."""
    return next(n for n in range(2 * parts, own + 1) if own % n == 0)


def _cut_to_memory(network: keras.Model, material: Material, progress: Progress) -> Progress:
    """Reckon what a step wants of this machine's memory, and cut batches to what is free.

    A GPU says itself that its memory is short; a machine ends the process without a word.

    Raises:
        DarkroomError: if one image at a time is too much, with what to change.
    """
    if has_gpu():
        return progress
    settings, own, free = material.recipe.finetune, _count_own(material), find_free_memory()
    need = estimate_need(create_trained(network, settings.remat), settings)
    parts = progress.accumulate
    while parts < own and any_of(need.count(own // parts) + SPARE > free):
        parts = _cut(parts, own)
    images = own // parts
    say(
        f"memory: a step with {images} images at once wants {need.count(images) / 1e9:.1f} to "
        f"{_in_gb(need.count(images) + SPARE)}, {describe_memory(free)}"
    )
    if not any_of(need.count(images) > free):
        if parts > progress.accumulate:
            say(f"{own} would want {_in_gb(need.count(own))}: {parts} parts to a step")
        return replace(progress, accumulate=parts)
    raise DarkroomError(_describe_shortage(network, settings, need, free))


def foresee_memory(network: keras.Model, settings: Finetune, *, is_sure: bool) -> None:
    """Say before the probe, which takes hours of many images, what would be refused behind it.

    Of layers that are to be thawed, or of low-rank updates, it is known only then.

    Args:
        network: as it was created: all of it trains.
        settings: of fine-tuning.
        is_sure: it comes, whatever the probe says.

    Raises:
        DarkroomError: if it comes, and one image at a time is too much.
    """
    if has_gpu() or settings.unfreeze != "all" or settings.lora_rank:
        return
    need = estimate_need(create_trained(network, settings.remat), settings)
    free = find_free_memory()
    if not any_of(need.count(1) > free):
        return
    words = _describe_shortage(network, settings, need, free)
    if is_sure:
        raise DarkroomError(words)
    say(f"{words}. The probe may be good enough without; else the run ends behind it")


def _describe_shortage(network: keras.Model, settings: Finetune, need: Need, free: int) -> str:
    """Return why nothing can be fine-tuned here, and what to change."""
    ways = "lower train.finetune.unfreeze, or choose a smaller train.backbone"
    if has_blocks(network):
        ways = f"set train.finetune.lora_rank to 8, {ways}"
    if has_blocks(network) and not settings.remat:
        less = estimate_need(create_trained(network, remat=True), settings)
        ways = f"set train.finetune.remat to true (about {_in_gb(less.count(1))}), {ways}"
    return (
        f"train: fine-tuning wants about {_in_gb(need.count(1))} of memory with one image at a "
        f"time, and {describe_memory(free)}: {ways}"
    )


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _measure_within_memory(phase: Finetuning) -> Speed | None:
    """Return the speed, or None if memory does not hold a batch."""
    try:
        return measure_speed(phase)
    except Exception as error:  # each backend has its own exception for it
        if not is_out_of_memory(error):
            raise
        return None


def measure_speed(phase: Finetuning) -> Speed:
    """Run input alone, then steps on one batch; the caller puts the network's state back.

    The network is compiled here, which the run would wait for anyway.
    """
    import psutil

    material, size = phase.material, phase.material.batch_size
    batches = iter(phase.feed.create_batches(1).repeat())
    batch = next(batches)  # the first waits for the graph to be made
    start, made = time.perf_counter(), 0
    while made < TRIAL_STEPS or (time.perf_counter() - start < TRIAL_SECONDS and made < 100):
        next(batches)
        made += 1
    input_speed = made * size / (time.perf_counter() - start)
    part = max(1, size // material.recipe.processes // phase.progress.accumulate)
    # As many parts as make the steps, so that accumulated gradients are applied as well.
    count = TRIAL_STEPS * phase.progress.accumulate
    again = tf.data.Dataset.from_tensors(tuple(tensor[:part] for tensor in batch))
    phase.model.fit(again.repeat(phase.progress.accumulate), verbose=0, shuffle=False)
    start = time.perf_counter()
    phase.model.fit(again.repeat(count), verbose=0, shuffle=False)
    compute = TRIAL_STEPS * size / (time.perf_counter() - start)
    return Speed(
        input=input_speed,
        compute=compute,
        train_images=material.steps * size,  # the last batch is filled up
        val_images=len(material.val.labels),
        shared=not has_gpu(),
        memory_mb=psutil.Process().memory_info().rss / 1e6,
    )

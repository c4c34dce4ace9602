"""Second phase: the unfrozen network is trained from the probe on; one state of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace

from components.common.artifacts.history import Epoch
from components.common.backend import keras
from components.common.terminal import bar, describe_seconds, say
from components.train.feed.material import Material
from components.train.finetuning.blend import (
    SHARES,
    blend,
    holding,
    read_weights,
    write_weights,
)
from components.train.finetuning.fitting import Finetuning, Progress
from components.train.finetuning.judging import judge_epoch, score
from components.train.finetuning.preflight import correct_estimate, start_phase
from components.train.finetuning.saving import PART, Clock, Saving
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.machines import any_of
from components.train.selection.kept import Contest, Judged, compute_gain
from components.train.selection.rules import Plan

# Steps between two looks at the run, which may save it.
SEGMENT_STEPS = 50
EARLY = 2  # epochs after which the fall of the loss can be seen
# What a look must show for training to go on, where the loss does not fall towards the probe's: so
# much of the probe's log loss gained, or one standard error.
LEAST_GAIN = 0.02
ROUNDING = 1e-3  # share of it that says nothing: where nothing can be learnt, losses still waver
HALF_WAY = 0.5  # a blend that shows early what full strength shows late


def run_finetuning(
    network: keras.Model,
    material: Material,
    *,
    contest: Contest,
    checkpoint: Checkpoint,
    plan: Plan,
    deadline: float | None = None,
) -> Iterator[Epoch]:
    """Train the network, yield each epoch as it ends, and leave the weights to keep in it.

    Which those are says the contest; the probe, from which training starts, competes as well.
    BatchNorm keeps its ImageNet statistics. Epochs of an earlier run that was killed are yielded
    again, as they were.

    Args:
        network: with the probe's head, unfrozen as far as wanted.
        material: the splits, and the recipe.
        contest: with the probe in it.
        checkpoint: where the run stands.
        plan: learning rates, and when to stop.
        deadline: of the stage, as `time.perf_counter` counts; None: it may take as long as it does.
    """
    second = _Second(network, material, contest, Saving(checkpoint), plan=plan, deadline=deadline)
    yield from second.go_on()
    while second.is_wanted():
        yield from second.train()
    yield from second.finish()


class _Second:
    """The second phase under way: one attempt, or with a lower learning rate another."""

    def __init__(
        self,
        network: keras.Model,
        material: Material,
        contest: Contest,
        saving: Saving,
        *,
        plan: Plan,
        deadline: float | None,
    ) -> None:
        self.network, self.material, self.contest = network, material, contest
        self.saving, self.plan, self.deadline = saving, plan, deadline
        self.start = self.tuned = read_weights(network)
        self.phase: Finetuning | None = None
        self.is_over = False
        self.clock = Clock()

    @property
    def progress(self) -> Progress:
        """Where it stands."""
        assert self.phase is not None
        return self.phase.progress

    def go_on(self) -> Iterator[Epoch]:
        """Take over what an earlier run that was killed has done."""
        found = self.saving.checkpoint.load(PART)
        if not found:
            return
        meta, arrays = found
        progress = Progress(**meta)
        self.phase = Finetuning(self.network, self._at_rate(progress.attempt), progress)
        count = len(self.start)
        self.tuned = [arrays.pop(f"b{number}") for number in range(count)]
        losses = [arrays.pop(f"l{number}") for number in range(len(progress.done))]
        self.phase.write_state(arrays)
        for number, (row, own) in enumerate(zip(progress.done, losses, strict=True)):
            if number == progress.before:
                self.contest.begin_anew()
            self.contest.add(Judged(Epoch(**row), own))
            yield self.contest.epochs[-1].epoch
        where = f"epoch {progress.epoch}, step {progress.step}"
        say(f"going on where an earlier run was stopped: fine-tuning, {where}")

    def is_wanted(self) -> bool:
        """Whether another epoch is to be trained; begins, or begins anew, where that is due."""
        if self.phase is None:
            self._begin(0)
        progress = self.progress
        if self.is_over or progress.epoch > progress.epochs:
            return False
        if progress.step:  # of an epoch that was interrupted
            return True
        return not (self._is_stuck() or self._is_late() or self._gains_nothing())

    def train(self) -> Iterator[Epoch]:
        """Train one epoch and judge it."""
        phase, progress, clock = self.phase, self.progress, self.clock
        assert phase is not None
        what = f"fine-tuning, epoch {progress.epoch} of {progress.epochs}"
        with bar(what, "steps", phase.steps) as shown:
            shown.update(progress.step)

            def look() -> None:
                shown.update(SEGMENT_STEPS)
                progress.seconds += clock.lap()
                if self.saving.is_due():
                    self._save()

            clock.lap()
            means = phase.fit(range(progress.step, phase.steps), SEGMENT_STEPS, look)
        progress.seconds += clock.lap()
        with phase.averaged():
            judged = judge_epoch(phase, means, clock)
            if self.contest.add(judged):
                self.tuned = read_weights(self.network)
        progress.end_epoch(asdict(judged.epoch))
        correct_estimate(progress, judged.epoch.seconds)
        self._save()
        yield judged.epoch

    def finish(self) -> Iterator[Epoch]:
        """Leave the weights to keep in the network; a blend that is better is one more epoch."""
        if self.plan.blends and self.contest.tuned is not None:
            yield from self._blend()
        is_tuned = self.contest.kept is not self.contest.probe
        write_weights(self.network, self.tuned if is_tuned else self.start)

    def _begin(self, attempt: int) -> None:
        """Start an attempt from the probe, with the plan's learning rate for it."""
        write_weights(self.network, self.start)
        self.contest.begin_anew()
        epochs, before = self.material.recipe.finetune.epochs, len(self.contest.epochs)
        assert not isinstance(epochs, str)
        done = list(self.progress.done) if self.phase else []
        progress = Progress(epochs, attempt=attempt, before=before, done=done)
        if self.phase is not None:
            progress.accumulate = self.progress.accumulate
        left = None if self.deadline is None else self.deadline - time.perf_counter()
        self.phase = start_phase(self.network, self._at_rate(attempt), progress, left)

    def _at_rate(self, attempt: int) -> Material:
        """Return the material with the learning rate of an attempt."""
        recipe, rate = self.material.recipe, self.plan.rates[attempt]
        finetune = replace(recipe.finetune, learning_rate=rate)
        return replace(self.material, recipe=replace(recipe, finetune=finetune))

    def _is_stuck(self) -> bool:
        """Whether the best epoch lies too many epochs back; 0: never."""
        patience, contest = self.material.recipe.finetune.patience, self.contest
        if not patience or contest.since_best < patience:
            return False
        is_any = contest.since_best < len(contest.epochs) and contest.best is not None
        best = f"epoch {contest.best.epoch.epoch}" if is_any and contest.best else "the probe"
        say(f"stopping early: nothing better since {best}")
        self.is_over = True
        return True

    def _is_late(self) -> bool:
        """Whether the next epoch would end after the budget's."""
        if self.deadline is None or not self.contest.epochs:
            return False
        took = self.contest.epochs[-1].epoch.seconds
        if not any_of(time.perf_counter() + took > self.deadline):
            return False
        progress = self.progress
        say(
            f"train.budget_minutes: {progress.epochs - progress.epoch + 1} epochs are left out, "
            f"each takes {describe_seconds(took)}"
        )
        self.is_over = True
        progress.epochs = progress.epoch - 1  # nor has a run that goes on from here time for them
        self._save()
        return True

    def _gains_nothing(self) -> bool:
        """Whether the first two epochs, or half of them, show that nothing is to be gained.

        After two another learning rate may be tried; then training begins anew with it.
        """
        progress, plan = self.progress, self.plan
        done = self.contest.epochs[progress.before :]
        is_early, is_half = len(done) == EARLY, len(done) == progress.epochs // 2
        if not plan.may_stop or len(done) < EARLY or not (is_early or is_half):
            return False
        best, error = self._look()
        probe = self.contest.probe.loss
        # Images far from those of the backbone begin worse and end far better: digits had 0.28,
        # 0.15, 0.11, 0.06 where the probe had 0.11.
        fall = min(1.0, done[-1].loss / done[-2].loss)
        falls = done[-1].loss * fall ** (progress.epochs - len(done)) < probe
        # Few images would end what is good by luck.
        wanted = -error if self.contest.has_few else min(error, LEAST_GAIN * probe)
        is_good = falls or best > wanted
        if is_good and max(abs(best), error) > ROUNDING * probe:
            return False
        said = f"validation log loss {probe - best:.3f} at best, the probe's is {probe:.3f}"
        following = progress.attempt + 1
        if is_early and following < len(plan.rates):
            say(f"{said}: once more from the probe, with learning rate {plan.rates[following]:g}")
            self._begin(following)
            return self.progress.epochs == 0
        say(f"{said}: fine-tuning ends, nothing is to be gained")
        self.is_over = True
        return True

    def _look(self) -> tuple[float, float]:
        """Return what this attempt has gained over the probe at best, and the error of that."""
        rivals = [one.losses for one in self.contest.epochs[self.progress.before :]]
        rivals.append(self._judge_blend(HALF_WAY).losses)
        return max(compute_gain(losses, self.contest.probe.losses) for losses in rivals)

    def _blend(self) -> Iterator[Epoch]:
        """Yield the best blend of the probe with the epoch that is held, if it is better."""
        tuned = self.contest.tuned
        assert tuned is not None
        best = self.contest.choose([*map(self._judge_blend, SHARES), tuned])
        share = best.epoch.blend
        if share is None:
            return
        say(
            f"{share:.0%} of the fine-tuned weights, the rest the probe's: validation log loss "
            f"{best.loss:.3f}, before {tuned.loss:.3f}"
        )
        self.contest.take(best)
        self.tuned = blend(self.network, self.start, self.tuned, share)
        yield best.epoch

    def _judge_blend(self, share: float) -> Judged:
        assert self.phase is not None
        clock, latest = Clock(), self.contest.epochs[-1].epoch
        with holding(self.network, blend(self.network, self.start, self.tuned, share)):
            found = self.phase.judge()
        losses, log_loss, accuracy = score(found, self.material.val.labels)
        return Judged(
            replace(
                latest,
                epoch=latest.epoch + 1,
                learning_rate=None,
                val_loss=log_loss,
                val_accuracy=accuracy,
                seconds=clock.lap(),
                images_per_second=None,
                blend=share,
            ),
            losses,
        )

    def _save(self) -> None:
        assert self.phase is not None
        arrays = self.phase.read_state()
        arrays |= {f"b{number}": weight for number, weight in enumerate(self.tuned)}
        arrays |= {f"l{number}": one.losses for number, one in enumerate(self.contest.epochs)}
        self.saving.save(asdict(self.progress), arrays)

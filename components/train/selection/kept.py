"""Which state of the network is kept: the probe, or one of the epochs after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from components.common.artifacts.history import Epoch
from components.train.selection.calibration import fit_temperature
from components.train.selection.scores import compute_log_losses

# Fewer validation images leave the choice to chance: they must contradict what is the rule, that
# fine-tuning gains. docs/recipe.md says what came of it on digits with thirty.
FEW = 150


@dataclass(frozen=True)
class Judged:
    """An epoch, and what the network was like after it."""

    epoch: Epoch
    losses: np.ndarray  # (images,) of validation, nats, see compute_honest_losses
    logits: np.ndarray | None = None  # of validation, where they are held

    @property
    def loss(self) -> float:
        """Their mean."""
        return float(self.losses.mean())


def compute_honest_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log loss of each image, (images,), at the temperature that the logits will get.

    So a network that was trained to be modest, by label smoothing, can be compared with one that
    was not.
    """
    return compute_log_losses(logits / fit_temperature(logits, labels), labels)


def compute_gain(losses: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return by how much `losses` lie below `other` on average, and the standard error of that.

    Both are of the same images, so what makes an image hard is in both and falls out: the error is
    that of the differences.
    """
    gains = other - losses
    if len(gains) < 2:
        return float(gains.mean()), math.inf
    return float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(len(gains)))


@dataclass
class Contest:
    """Decides as the epochs come, so that the weights of one of them are held.

    Among fine-tuned epochs the schedule speaks for the last, whose learning rate is spent, and
    validation may object: the latest is taken that is no more than one standard error worse than
    the best (Breiman et al. 1984). It is kept if it beats the probe by more than one: ties go to
    what is cheaper, and has not been bent to few images. Where there are too few to tell, it is
    kept unless it is worse by one. The errors are of paired differences.
    """

    probe: Judged
    epochs: list[Judged] = field(default_factory=list)
    best: Judged | None = None  # of the fine-tuned, by its loss
    tuned: Judged | None = None  # of the fine-tuned, by the rule
    failed: int = 0  # epochs of attempts that failed

    def add(self, judged: Judged) -> bool:
        """Add the next epoch; return whether it is the one of the fine-tuned to hold."""
        self.epochs.append(judged)
        if self.best is None or judged.loss < self.best.loss:
            self.best = judged
        behind, error = compute_gain(self.best.losses, judged.losses)
        if judged is self.best or behind <= error:
            self.tuned = judged
        return self.tuned is judged

    def begin_anew(self) -> None:
        """Forget the epochs of an attempt that failed; they stay in the history."""
        self.best = self.tuned = None
        self.failed = len(self.epochs)

    def take(self, judged: Judged) -> None:
        """Add what was made of the epoch that is held, in its place."""
        self.epochs.append(judged)
        self.best = self.tuned = judged

    @property
    def kept(self) -> Judged:
        """What is kept."""
        if self.tuned is None:
            return self.probe
        gain, error = compute_gain(self.tuned.losses, self.probe.losses)
        wanted = -error if self.has_few else error
        return self.tuned if gain > wanted else self.probe

    @property
    def has_few(self) -> bool:
        """Whether the images are too few to show a gain."""
        return len(self.probe.losses) < FEW

    def choose(self, rivals: Sequence[Judged]) -> Judged:
        """Return the best of states between the probe and the epoch that is held.

        Args:
            rivals: in order, the nearest to the probe first. Of those that few images cannot tell
                from the best, by one standard error, the middle one is taken.
        """
        best = min(reversed(rivals), key=lambda one: one.loss)
        if not self.has_few:
            return best
        gains = [compute_gain(best.losses, one.losses) for one in rivals]
        alike = [one for one, (gain, error) in zip(rivals, gains, strict=True) if gain <= error]
        return alike[len(alike) // 2]

    @property
    def since_best(self) -> int:
        """How many epochs have come since the best one, or since the probe if that is better."""
        if self.best is None or self.best.loss >= self.probe.loss:
            return len(self.epochs)
        return self.epochs[-1].epoch.epoch - self.best.epoch.epoch

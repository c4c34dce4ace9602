"""Which epoch is kept, by the paired losses of the validation images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from components.common.artifacts.history import Epoch
from components.train.selection.kept import FEW, Contest, Judged, compute_gain


def make(number: int, losses: np.ndarray | float, accuracy: float = 0.5) -> Judged:
    row = Epoch("fine-tune" if number else "probe", number, None, 0.1, 1.0, 0.4, accuracy, 1.0)
    return Judged(row, np.asarray(losses, float))


def hold(*losses: np.ndarray) -> Contest:
    contest = Contest(make(0, losses[0]))
    for number, one in enumerate(losses[1:], 1):
        contest.add(make(number, one))
    return contest


HARD = np.random.default_rng(0).exponential(1.0, 400)  # how hard each image is: mean 1, spread 1


def test_the_error_is_that_of_the_paired_differences() -> None:
    other = HARD * 0.9 + np.random.default_rng(1).normal(0, 0.1, 400)
    gain, error = compute_gain(other, HARD)
    assert gain == pytest.approx((HARD - other).mean())
    assert gain / error == pytest.approx(ttest_rel(HARD, other).statistic)
    unpaired = np.sqrt((HARD.var() + other.var()) / 400)
    assert error < unpaired / 4


@pytest.mark.parametrize(
    ("factors", "kept"),
    [
        ((1.0,), 0),
        ((1.0, 0.9), 1),  # by 0.1: unpaired errors, 0.07, would hardly see it
        ((1.0, 1.05), 0),
        ((1.0, 1.0), 0),  # a tie goes to the probe
        ((1.0, 0.8, 0.9), 1),  # the later one is clearly worse
        ((1.0, 0.9, 0.8), 2),
        ((1.0, 0.8, 1.2, 1.3), 1),
    ],
)
def test_differences_that_all_images_show_decide(factors: tuple[float, ...], kept: int) -> None:
    assert hold(*(factor * HARD for factor in factors)).kept.epoch.epoch == kept


def test_what_images_contradict_each_other_on_goes_to_probe_or_to_the_later() -> None:
    noise = np.random.default_rng(2).normal(0, 1.0, 400)
    noise -= noise.mean()
    assert hold(HARD, HARD + noise - 0.02).kept.epoch.epoch == 0  # 0.02 of an error of 0.05
    assert hold(HARD, HARD - 0.5, HARD - 0.5 + noise + 0.02).kept.epoch.epoch == 2


def test_only_the_weights_of_one_epoch_must_be_held() -> None:
    """Fine-tuning holds what `add` says yes to; it must be what is kept in the end."""
    random = np.random.default_rng(3)
    for _ in range(200):
        contest, held = Contest(make(0, HARD)), None
        for number in range(1, 6):
            row = make(number, HARD * random.uniform(0.8, 1.1) + random.normal(0, 0.3, 400))
            held = row if contest.add(row) else held
        assert contest.tuned is held
        assert contest.kept in (held, contest.probe)


def test_an_attempt_that_failed_is_forgotten_and_a_blend_takes_its_place() -> None:
    contest = hold(HARD, HARD * 0.9)
    contest.begin_anew()
    assert contest.kept is contest.probe
    contest.add(make(2, HARD * 0.95))
    assert contest.kept.epoch.epoch == 2
    contest.take(make(3, HARD * 0.7))
    assert contest.kept.epoch.epoch == 3
    assert [one.epoch.epoch for one in contest.epochs] == [1, 2, 3]


@pytest.mark.parametrize(("images", "kept"), [(30, 1), (FEW - 1, 1), (FEW, 0), (400, 0)])
@pytest.mark.parametrize("behind", [-0.5, 0.5])  # standard errors
def test_few_images_must_show_a_loss_and_many_a_gain(images: int, kept: int, behind: float) -> None:
    noise = np.random.default_rng(4).normal(0, 1.0, images)
    noise = (noise - noise.mean()) / noise.std(ddof=1)  # standard error of its mean: 1 / sqrt(n)
    losses = HARD[:images] + noise + behind / np.sqrt(images)
    gain, error = compute_gain(losses, HARD[:images])
    assert gain / error == pytest.approx(-behind)
    assert hold(HARD[:images], losses).kept.epoch.epoch == kept
    # A loss by more than one error decides whatever their number.
    assert hold(HARD[:images], losses + 2 * error).kept.epoch.epoch == 0


def test_of_blends_few_images_leave_the_middle_of_those_that_they_cannot_tell_apart() -> None:
    random = np.random.default_rng(5)
    for images in (20, 400):
        noise = random.normal(0, 1.0, images)
        noise -= noise.mean()
        base = HARD[:images]
        rivals = [make(1, base), make(2, base + noise + 0.01), make(3, base + 2.0)]
        chosen = hold(base).choose(rivals)
        assert chosen.epoch.epoch == (2 if images < FEW else 1)
        alike = [make(number, base) for number in range(1, 6)]
        assert hold(base).choose(alike).epoch.epoch == (3 if images < FEW else 5)

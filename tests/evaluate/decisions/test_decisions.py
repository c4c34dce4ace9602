"""Thresholds and sets keep what they promise, on data whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError
from components.common.serving.decisions import (
    NOTHING_SURE,
    Decisions,
    compute_energy,
    find_sets,
    is_unsure,
    parse_decisions,
)
from components.common.statistics.shares import Sampling
from components.evaluate.decisions.sets import EVERY, count_needed, find_limit, find_limits
from components.evaluate.decisions.thresholds import (
    choose_threshold,
    compute_threshold,
    compute_upper,
    read_promises,
)
from components.evaluate.decisions.thresholds import count_needed as count_right
from components.evaluate.decisions.unknown import describe_unknown
from components.evaluate.evaluation import describe_thresholds, list_thresholds
from components.evaluate.report.words import describe_automation
from tests.evaluate.conftest import predictions_of


def alone(images: int) -> Sampling:
    return Sampling(np.arange(images), 0.95, 100)


def draw(images: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Answers of a calibrated model: as often right as it says."""
    sure = 1 - 0.4 * random.beta(0.3, 3, images)
    return sure, random.random(images) < sure


@pytest.mark.parametrize("copies", [1, 5])
def test_the_threshold_keeps_its_promise_as_often_as_it_says(copies: int) -> None:
    random = np.random.default_rng(0)
    broken = promised = 0
    for _ in range(80):
        sure, right = (np.repeat(one, copies) for one in draw(600, random))
        groups = np.repeat(np.arange(600), copies)
        found = choose_threshold(sure, right, 0.02, Sampling(groups, 0.95, 100))
        if found.bound is None:
            continue
        promised += 1
        fresh, _ = draw(50_000, np.random.default_rng(1))
        broken += (1 - fresh)[fresh >= found.threshold].mean() > 0.02
        assert found.bound <= 0.02
    assert promised >= 50
    assert broken <= 8  # 5 % of 80 are 4


def test_few_images_promise_nothing_and_say_how_many_would() -> None:
    sure = np.linspace(0.6, 1, 100)
    found = choose_threshold(sure, np.ones(100, bool), 0.02, alone(100))
    assert (found.threshold, found.bound) == (NOTHING_SURE, None)
    assert found.images_needed == 149  # 0.98 ** 149 < 0.05 < 0.98 ** 148
    assert 0.98**149 < 0.05 < 0.98**148
    sure = np.linspace(0.6, 1, 149)
    found = choose_threshold(sure, np.ones(149, bool), 0.02, alone(149))
    assert found.threshold == 0
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 149))
    # One mistake that the model was sure of, and the promise is gone.
    assert choose_threshold(sure, sure < 1, 0.02, alone(149)).bound is None
    # That there is no mistake at all, no number of images can promise; any may be allowed.
    assert choose_threshold(sure, np.ones(149, bool), 0.0, alone(149)).bound is None
    assert choose_threshold(sure, np.zeros(149, bool), 1.0, alone(149)).threshold == 0


def test_bounds_are_exact() -> None:
    for mistakes, images in ((0, 20), (3, 50), (7, 7)):
        upper = compute_upper(mistakes, images, 0.05)
        assert upper == 1 or binom.cdf(mistakes, images, upper) == pytest.approx(0.05)
    assert count_right(0.02, 0.05) == 149


def test_a_threshold_of_one_means_none() -> None:
    """A softmax reaches 1.0 in floating point."""
    sure = np.array([1.0, 1.0, 0.9])
    assert is_unsure(sure, NOTHING_SURE).tolist() == [True, True, True]
    assert is_unsure(sure, 0.95).tolist() == [False, False, True]
    row = compute_threshold(sure, np.array([True, True, False]), NOTHING_SURE, alone(3))
    assert (row.images, row.error) == (0, None)
    answer = Decisions(unsure_below=1.0).judge(np.array([0.0, 1.0]), ["a", "b"])
    assert answer == {"label": "b", "probability": 1.0, "unsure": True}


def make_lopsided(images: int, random: np.random.Generator) -> Predictions:
    """Three classes; answers that name the last are much oftener wrong than they say."""
    labels = random.integers(0, 3, images)
    logits = random.normal(0, 0.6, (images, 3))
    logits[np.arange(images), labels] += 6
    misled = random.random(images) < 0.08
    logits[misled, 2] += 6 * random.random(misled.sum()) + 3
    return predictions_of(labels, logits)


def test_a_class_keeps_a_promise_of_its_own() -> None:
    """The oracle: the threshold of the answers that name it alone; and fresh images."""
    random = np.random.default_rng(0)
    predictions, sampling = make_lopsided(3000, random), alone(3000)
    own = read_promises({"class 2": 0.01}, predictions.class_names)
    assert own == {2: 0.01}
    found = describe_thresholds(predictions, sampling, 0.05, own)
    (strict,) = found["unsure_below_classes"]
    named = predictions.predicted == 2
    sure, right = predictions.confidence, predictions.correct
    expected = choose_threshold(sure[named], right[named], 0.01, alone(int(named.sum())))
    assert (strict["name"], strict["threshold"]) == ("class 2", expected.threshold)
    rest = choose_threshold(sure[~named], right[~named], 0.05, alone(int((~named).sum())))
    assert found["unsure_below"] == rest.threshold
    assert rest.threshold < strict["threshold"] < NOTHING_SURE
    below = list_thresholds(found | {"class_names": predictions.class_names})
    decisions = Decisions(found["unsure_below"], unsure_below_classes=below)
    fresh = make_lopsided(40_000, random)
    unsure = decisions.find_unsure(fresh.probabilities)
    answered = (fresh.predicted == 2) & ~unsure
    assert answered.sum() > 1000
    assert 0 < (~fresh.correct[answered]).mean() <= 0.01
    # What one answer is told is what all are told.
    for image in range(200):
        told = decisions.judge(fresh.probabilities[image], fresh.class_names)
        assert told["unsure"] == unsure[image]
    share = decisions.find_unsure(predictions.probabilities).mean()
    assert found["automated"]["coverage"] == pytest.approx(1 - share)
    assert parse_decisions(json.loads(decisions.to_json())) == decisions


def test_every_class_may_promise_and_few_answers_promise_nothing() -> None:
    predictions = make_lopsided(90, np.random.default_rng(1))
    own = read_promises({"*": 0.02, "class 1": 0.2}, predictions.class_names)
    assert own == {0: 0.02, 1: 0.2, 2: 0.02}
    found = describe_thresholds(predictions, alone(90), 0.02, own)
    assert [one["bound"] is None for one in found["unsure_below_classes"]] == [True, False, True]
    assert found["unsure_below"] == NOTHING_SURE  # no answer is left for it
    metrics = found | {"class_names": predictions.class_names}
    assert list_thresholds(metrics)[0] == NOTHING_SURE
    assert "“class 0” is never answered alone" in describe_automation(metrics)
    with pytest.raises(DarkroomError, match=r"max_error_of: no class 'd'; legal are class 0"):
        read_promises({"d": 0.1}, predictions.class_names)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400), st.sampled_from([0.01, 0.05, 0.2]), st.booleans(), st.integers(0, 10**6)
)
def test_a_threshold_is_the_bound_of_what_lies_above_it(
    images: int, max_error: float, coarse: bool, seed: int
) -> None:
    sure, right = draw(images, np.random.default_rng(seed))
    sure = np.round(sure, 2) if coarse else sure
    found = choose_threshold(sure, right, max_error, alone(images))
    above = ~is_unsure(sure, found.threshold)
    assert above.any() == (found.bound is not None)
    if found.bound is not None:
        at_most = compute_upper(int((~right[above]).sum()), int(above.sum()), 0.05)
        assert at_most - 1e-12 <= found.bound <= max_error


@pytest.mark.parametrize("size", [1, 6])
def test_sets_hold_the_true_class_as_often_as_promised(size: int) -> None:
    """New groups of the same kind; in a group all images are much alike."""
    random = np.random.default_rng(0)

    def make(groups: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(random.integers(0, 4, groups), size)
        common = random.normal(0, 1, (groups, 4)).repeat(size, axis=0)
        logits = common + 0.3 * random.normal(0, 1, (groups * size, 4))
        logits[np.arange(len(labels)), labels] += 1 + labels  # class 0 is the hardest
        return labels, predictions_of(labels, logits).probabilities

    held = []
    for _ in range(60):
        labels, table = make(120)
        true = table[np.arange(len(labels)), labels]
        found = find_limits(true, labels, np.repeat(np.arange(120), size), 0.9, 4)
        new, fresh = make(400)
        is_in = find_sets(fresh, found.limits)[np.arange(len(new)), new]
        held.append([is_in[new == label].mean() for label in range(4)])
        assert found.is_own.all()
    assert (np.mean(held, axis=0) > 0.885).all()  # each class, also the hardest
    assert np.mean(held) < 0.95  # and not by holding everything


def test_limits_of_few_images_promise_what_they_can() -> None:
    assert count_needed(0.95) == 19
    true = np.linspace(0.1, 1, 19)
    assert find_limit(true, np.arange(19), 0.95) == pytest.approx(0.1)  # the worst of all
    assert find_limit(true[:18], np.arange(18), 0.95) == EVERY
    assert find_limit(true, np.arange(19) // 2, 0.95) == EVERY  # ten groups
    assert find_limit(np.ones(0), np.arange(0), 0.95) == EVERY
    # By hand: of 39, 38 of 40 parts hold 95 %, so one may be left out.
    assert find_limit(np.arange(1, 40) / 40, np.arange(39), 0.95) == pytest.approx(2 / 40)
    labels = np.repeat([0, 1], [60, 5])
    found = find_limits(np.linspace(0.2, 1, 65), labels, np.arange(65), 0.95, 3)
    assert found.is_own.tolist() == [True, False, False]
    assert found.limits[1] == found.limits[2]  # that of all images


def test_sets_are_never_empty_and_come_in_order() -> None:
    decisions = Decisions(None, [0.9, 0.3, 0.2])
    answer = decisions.judge(np.array([0.4, 0.25, 0.35]), ["a", "b", "c"])
    assert answer["sets"] == ["a", "c"]
    assert answer["unsure"] is False
    assert decisions.list_columns() == ["label", "probability", "unsure", "sets"]


def test_images_of_known_kinds_pass_as_promised_and_strange_ones_seldom() -> None:
    random = np.random.default_rng(0)

    def make(images: int) -> np.ndarray:
        labels = random.integers(0, 4, images)
        return random.normal(0, 1, (images, 4)) + 6 * np.eye(4)[labels]

    passed = []
    for _ in range(60):
        logits = make(150)
        found = predictions_of(logits.argmax(axis=1), logits)
        limit, about = describe_unknown(found, np.arange(150), 0.9)
        assert limit is not None
        passed.append((compute_energy(make(2000)) <= limit).mean())
    assert 0.89 < np.mean(passed) < 0.93
    assert about["passed"] == pytest.approx(0.9, abs=0.08)
    strange = random.normal(0, 1, (2000, 4))  # no class speaks for them
    assert (compute_energy(strange) <= limit).mean() < 0.1
    assert compute_energy(logits) == pytest.approx(-np.log(np.exp(logits).sum(axis=1)))
    answer = Decisions(unknown_above=limit).judge(np.ones(4) / 4, list("abcd"), strange[0])
    assert answer["unknown"] is True
    # Eight images can promise no such thing.
    few = predictions_of(np.zeros(8), make(8))
    assert describe_unknown(few, np.arange(8), 0.9)[0] is None

"""The learning curve on real digits: its points are scikit-learn's, its parts keep groups whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import learning_curve

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FORECAST,
    LABELS,
    MEASURED,
    RECALL,
    read_curve,
    write_curve,
)
from components.train.probe.curve import create_curve, describe_curve, round_amount
from components.train.probe.folds import deal
from components.train.probe.heads import LOGISTIC, Way
from components.train.probe.part_fits import (
    FOLDS,
    SHARES,
    Pool,
    forecast_class,
    measure_all,
    order_nested,
)
from components.train.probe.power_law import EXPONENTS
from tests.conftest import load_digits

WAY = Way(LOGISTIC, penalty=1.0)
NAMES = [str(digit) for digit in range(10)]
NOBODY = np.zeros(0, int)
TESTS = dict.fromkeys(NAMES, 100)


def make_pool(images: int = 400, seed: int = 0, classes: int = 10) -> Pool:
    """Return digits, their pixels as features, each a group of its own."""
    pixels, labels = load_digits()
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(labels < classes))[:images]
    features = pixels[chosen].reshape(len(chosen), -1).astype(np.float32) / 255
    return Pool(features, labels[chosen], np.arange(len(chosen)), NAMES[:classes])


def test_the_points_are_those_of_scikit_learn() -> None:
    pool = make_pool()
    found = measure_all(pool, WAY, seed=0, rounds=1)
    folds = list(deal(pool.labels, pool.groups, FOLDS, 0))
    # In the order of the parts, scikit-learn takes the same first images of each fold.
    random = np.random.default_rng((0, 0))
    nested = [
        (fitted[order_nested(pool.labels[fitted], pool.groups[fitted], random)], judged)
        for fitted, judged in folds
    ]
    least = min(len(fitted) for fitted, _ in nested)
    assert least == 320
    sizes, _, scores = learning_curve(
        LogisticRegression(C=WAY.penalty, max_iter=1000),
        pool.features,
        pool.labels,
        train_sizes=[round(share * least) for share in SHARES],
        cv=nested,
    )
    assert found.sizes.tolist() == sizes.tolist()
    assert 1 - found.wrong.mean(axis=1) == pytest.approx(scores.mean(axis=1), abs=0.003)


def test_each_beginning_has_the_mixture_of_all_and_whole_groups() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [300, 150, 30])
    order = order_nested(labels, np.arange(480), random)
    assert sorted(order) == list(range(480))
    for part in (48, 160, 320):
        counts = np.bincount(labels[order[:part]], minlength=3)
        assert counts == pytest.approx(part / 480 * np.array([300, 150, 30]), abs=1.01)
    groups = random.integers(0, 60, 480)
    in_order = groups[order_nested(labels, groups, random)]
    assert (np.diff(in_order) != 0).sum() == len(np.unique(groups)) - 1


def test_more_images_gain_and_the_table_comes_back(tmp_path: Path) -> None:
    points, reason = create_curve(make_pool(), WAY, NOBODY, TESTS, seed=0)
    assert reason == ""
    measured = [one for one in points if one.of == EVERYTHING and one.kind == MEASURED]
    accuracies = [one.accuracy for one in measured]
    assert accuracies == sorted(accuracies)
    assert all(one.low <= one.accuracy <= one.high for one in points)
    coming = [one for one in points if one.of == EVERYTHING and one.kind == FORECAST]
    assert [one.more for one in coming] == [20, 200, 400]
    assert coming[-1].gain > coming[0].gain > 0
    # The oracle: twice the digits, on digits that neither has.
    pixels, labels = load_digits()
    rows = np.random.default_rng(0).permutation(len(labels))
    flat = pixels.reshape(len(pixels), -1) / 255
    found = [
        LogisticRegression(C=WAY.penalty, max_iter=1000)
        .fit(flat[rows[:count]], labels[rows[:count]])
        .score(flat[rows[800:]], labels[rows[800:]])
        for count in (400, 800)
    ]
    assert coming[-1].gain_low <= found[1] - found[0] <= coming[-1].gain_high
    assert {one.of for one in points} == {EVERYTHING, CLASS, RECALL}
    assert "400 more images" in describe_curve(points, "")

    write_curve(tmp_path / "curve.csv", points)
    again = read_curve(tmp_path / "curve.csv")
    assert [(one.of, one.name, one.images) for one in again] == [
        (one.of, one.name, one.images) for one in points
    ]
    assert [one.gain for one in again] == pytest.approx([one.gain for one in points], abs=1e-5)


def test_labels_that_spoil_the_others_are_worth_mending() -> None:
    pool = make_pool(240, classes=3)
    random = np.random.default_rng(0)
    wrong = random.choice(240, 70, replace=False)
    labels = pool.labels.copy()
    labels[wrong] = 0  # of all others, so that it is no mere noise
    spoilt = Pool(pool.features, labels, pool.groups, pool.class_names)
    doubted = wrong[pool.labels[wrong] != 0]
    way = Way(LOGISTIC, penalty=10.0)
    points, _ = create_curve(spoilt, way, doubted, TESTS, seed=0)
    mended = next(one for one in points if one.of == LABELS)
    assert mended.images == len(doubted)
    assert mended.gain_low > 0.02
    # And where nothing is wrong, nothing is gained.
    points, _ = create_curve(pool, way, doubted, TESTS, seed=0)
    assert next(one for one in points if one.of == LABELS).gain_high < 0.02


@pytest.mark.parametrize("images", [30, 150])
def test_too_few_images_are_told(images: int) -> None:
    points, reason = create_curve(make_pool(images), WAY, NOBODY, TESTS, seed=0)
    assert points == []
    assert f"{images} labelled images are too few" in reason
    assert " are needed" in describe_curve(points, reason)


def test_images_of_one_group_each_class_are_told() -> None:
    pool = make_pool(200, classes=2)
    bound = Pool(pool.features, pool.labels, pool.labels, pool.class_names)
    points, reason = create_curve(bound, WAY, NOBODY, TESTS, seed=0)
    assert points == []
    assert "not of its group" in reason


def test_of_many_images_some_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.train.probe.curve.MOST_WORK", 64 * 10 * 200 * 8)
    points, _ = create_curve(make_pool(1000), WAY, NOBODY, TESTS, seed=0)
    largest = [one for one in points if one.kind == MEASURED][-1]
    assert largest.images == pytest.approx(0.8 * 206, abs=2)
    # Forecasts are from all images there are.
    assert next(one.images - one.more for one in points if one.kind == FORECAST) == 1000


@pytest.mark.parametrize(
    ("images", "rounded"), [(3, 10), (10, 10), (49, 20), (50, 50), (999, 500), (1000, 1000)]
)
def test_amounts_are_round(images: float, rounded: int) -> None:
    assert round_amount(images) == rounded


def test_what_doubling_a_class_brought_is_carried_on_by_a_law() -> None:
    pool = make_pool(400)
    gains = np.full((2, 400), 0.0)
    gains[:, ::10] = 1.0  # every tenth answer, with a quarter and with half of the images
    found = forecast_class(pool, (gains, np.zeros(400)), (40, 40), 10**9, seed=0)[1]
    true = np.median([0.1 * (4**-c + 2**-c) / 2 for c in EXPONENTS])
    assert found.value == pytest.approx(true, rel=0.15)
    assert found.low > 0
    # As many answers lost as won are no gain, and a test of few images cannot tell.
    gains[:, 5::10] = -1.0
    few, many = (
        forecast_class(pool, (gains, np.zeros(400)), (40, 40), tests, seed=0)[1]
        for tests in (50, 10**9)
    )
    assert abs(many.value) < 0.01
    assert few.low < many.low < 0 < many.high < few.high

"""The figures against scikit-learn, SciPy and statistics done by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import draw_weights
from components.common.statistics.holm import correct_holm
from components.common.statistics.shares import (
    Sampling,
    combine_shares,
    compute_share_interval,
    compute_wilson,
)
from components.evaluate.checks.slices import judge_slices
from components.evaluate.metrics.areas import compute_ranked, create_rankings
from components.evaluate.metrics.calibration import compute_ece, compute_gaps
from components.evaluate.metrics.ends import compute_ece_ends
from components.evaluate.metrics.intervals import compute_intervals, compute_weighted
from components.evaluate.metrics.metrics import (
    compute_figures,
    compute_ranked_scores,
    create_metrics,
)
from tests.evaluate.conftest import predictions_of

Make = Callable[..., Predictions]


def alone(images: int, resamples: int = 300) -> Sampling:
    return Sampling(np.arange(images), 0.95, resamples)


def test_figures_are_those_of_scikit_learn(make_predictions: Make) -> None:
    found = make_predictions(images=500, classes=5)
    figures = compute_figures(found, 2)
    labels, table = found.labels, found.probabilities
    truth = np.eye(5)[labels]
    assert figures["top_k"]["accuracy"] == sklearn_metrics.top_k_accuracy_score(labels, table, k=2)
    expected = {
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, found.predicted),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, table, multi_class="ovr"),
        "average_precision": sklearn_metrics.average_precision_score(truth, table),
        "brier": ((table - truth) ** 2).sum(axis=1).mean(),
        "log_loss": sklearn_metrics.log_loss(labels, table),
    }
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value), name


def test_ranking_knows_ties() -> None:
    random = np.random.default_rng(0)
    coarse = np.round(random.normal(0, 1, (200, 3)), 0)
    found = predictions_of(random.integers(0, 3, 200), coarse)
    for i, (area, average) in compute_ranked_scores(found).items():
        truth, scores = found.labels == i, found.probabilities[:, i]
        assert area == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores))
        assert average == pytest.approx(sklearn_metrics.average_precision_score(truth, scores))


def test_weights_are_copies_of_images(make_predictions: Make) -> None:
    found = make_predictions(images=120, classes=3, skill=1.0)
    weights = next(iter(draw_weights(np.arange(120), 1, seed=3)))
    copies = np.repeat(np.arange(120), weights[0].astype(int))
    copied = predictions_of(found.labels[copies], found.logits[copies])
    expected = compute_figures(copied, 1)
    values = compute_weighted(found, weights) | compute_ranked(create_rankings(found), weights, 3)
    assert values["macro.f1"][0] == pytest.approx(expected["macro"]["f1"])
    for name in ("roc_auc", "average_precision"):
        assert values[name][0] == pytest.approx(expected[name]), name
    assert np.abs(values["gaps"][0]).sum() == pytest.approx(expected["ece"])
    for i, (area, average) in compute_ranked_scores(copied).items():
        assert values["class.roc_auc"][0, i] == pytest.approx(area)
        assert values["class.average_precision"][0, i] == pytest.approx(average)


def test_every_figure_has_an_interval_that_holds_it(make_predictions: Make) -> None:
    found = make_predictions(images=400, classes=4)
    metrics = create_metrics(found, "d", alone(400), 2)
    flat = compute_figures(found, 2)
    for name, (low, high) in metrics["intervals"].items():
        head, _, tail = name.partition(".")
        value = flat[head][tail] if tail else flat[head]
        if name != "ece":  # its estimate is too high, and its interval knows
            assert low <= value <= high, name
    for score in metrics["classes"]:
        for name in ("precision", "recall", "f1", "roc_auc", "average_precision"):
            low, high = score[f"{name}_interval"]
            assert 0 <= low < score[name] < high <= 1, name


def test_a_class_that_is_known_without_a_fault_is_not_sure_to_be() -> None:
    labels = np.repeat([0, 1], [25, 175])
    metrics = create_metrics(predictions_of(labels, 9.0 * np.eye(2)[labels]), "d", alone(200), 1)
    rare, frequent = metrics["classes"]
    low, high = compute_wilson(1, 25, 0.95)
    assert rare["recall_interval"] == pytest.approx((low, high))
    for name in ("precision", "f1"):
        assert 0.8 < rare[f"{name}_interval"][0] < frequent[f"{name}_interval"][0] < 1
        assert rare[f"{name}_interval"][1] == 1
    # Areas without a misranked image hang on those that were not drawn.
    assert rare["roc_auc_interval"] is None
    assert "roc_auc" in metrics["without_interval"]


def test_the_interval_of_the_ece_knows_its_bias() -> None:
    """Of a calibrated model the ECE of few images is far from 0; its interval holds the truth."""
    held = above = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        confidence = random.uniform(0.5, 1, 200)
        correct = random.random(200) < confidence  # calibrated: the true ECE is 0
        weights = next(iter(draw_weights(np.arange(200), 300)))
        gaps = compute_gaps(confidence, correct, np.ones((1, 200)))[0]
        low, high = compute_ece_ends(gaps, compute_gaps(confidence, correct, weights), 0.95)
        ece = compute_ece(confidence, correct)
        assert np.abs(gaps).sum() == pytest.approx(ece)
        held += low == 0
        above += ece > 0.03
        assert high < 2 * ece
    assert above >= 30
    assert held >= 36
    # And of one that is surely off, it leaves 0 far behind.
    confidence, correct = np.full(400, 0.95), np.arange(400) % 10 < 7
    weights = next(iter(draw_weights(np.arange(400), 300)))
    gaps = compute_gaps(confidence, correct, np.ones((1, 400)))[0]
    low, high = compute_ece_ends(gaps, compute_gaps(confidence, correct, weights), 0.95)
    assert 0.19 < low < 0.25 < high < 0.31


def test_images_in_groups_tell_less(make_predictions: Make) -> None:
    found = make_predictions(images=100, classes=3, skill=1.0)
    copies = np.repeat(np.arange(100), 5)
    copied = predictions_of(found.labels[copies], found.logits[copies])
    once = compute_intervals(found, alone(100), 1).overall
    grouped = compute_intervals(copied, Sampling(copies, 0.95, 300), 1).overall
    assert grouped["accuracy"] == pytest.approx(once["accuracy"], abs=0.005)
    # 98 degrees of freedom of a spread instead of any number: a little wider.
    assert grouped["macro.f1"] == pytest.approx(once["macro.f1"], abs=0.01)
    blind = compute_intervals(copied, alone(500), 1).overall
    assert np.ptp(blind["accuracy"]) < 0.6 * np.ptp(grouped["accuracy"])


def test_intervals_of_shares_are_scipys() -> None:
    """Wilson's, but for the end near 0 or 1, which is no nearer than that of an exact test."""
    from scipy.stats import binomtest

    moved = []
    for hits, images in ((0, 10), (1, 10), (3, 10), (9, 10), (10, 10), (57, 60), (55, 60), (1, 2)):
        test = binomtest(hits, images)
        wilson = test.proportion_ci(0.95, method="wilson")
        assert compute_wilson(hits / images, images, 0.95) == pytest.approx(tuple(wilson))
        exact = test.proportion_ci(0.85, method="exact")  # tails of 7.5 %
        low, high = wilson
        if 2 * hits <= images:
            low = min(low, exact.low)
        if 2 * hits >= images:
            high = max(high, exact.high)
        flags = np.arange(images) < hits
        found = compute_share_interval(flags, np.arange(images), 0.95)
        assert found == pytest.approx((low, high))
        if (low, high) != tuple(wilson):
            moved.append((hits, images))
    # Of no more than three mistakes, or hits, does it make a difference.
    assert moved == [(1, 10), (3, 10), (9, 10), (57, 60), (1, 2)]


@pytest.mark.parametrize("images", [20, 300])
def test_an_interval_of_a_share_near_1_holds_it(images: int) -> None:
    """Reckoned without chance: what all numbers of hits together hold of each truth."""
    from scipy.stats import binom

    groups, hits = np.arange(images), np.arange(images + 1)
    ends = np.array([compute_share_interval(groups < one, groups, 0.95) for one in hits])
    wilson = np.array([compute_wilson(one / images, images, 0.95) for one in hits])
    expected = np.arange(0.02, 5, 0.01)  # mistakes
    held = {}
    for name, (low, high) in (("ours", ends.T), ("wilson", wilson.T)):
        truth = 1 - expected[:, None] / images
        within = (low <= truth) & (truth <= high)
        held[name] = (binom.pmf(hits, images, truth) * within).sum(axis=1)
    assert held["ours"].min() > 0.92
    assert 0.95 < held["ours"].mean() < 0.97
    assert held["wilson"].min() < 0.85  # so there was something to mend


@pytest.mark.slow
def test_a_weighted_precision_of_lopsided_classes_holds_the_truth() -> None:
    """2 classes at 1 : 10; the truth is known: a share of each class is taken for the other."""
    labels = np.repeat([0, 1], [40, 400])
    wrong = np.array([0.15, 0.02])  # of the class
    counts = np.array([[40 * 0.85, 40 * 0.15], [400 * 0.02, 400 * 0.98]])
    truth = float((counts.sum(axis=1) / 440 * np.diag(counts) / counts.sum(axis=0)).sum())
    held, narrower = 0, 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        taken = np.where(random.random(440) < wrong[labels], 1 - labels, labels)
        found = predictions_of(labels, 3.0 * np.eye(2)[taken])
        low, high = compute_intervals(found, alone(440, 50), 1).overall["weighted.precision"]
        value = compute_figures(found, 1)["weighted"]["precision"]
        assert low <= value <= high
        held += low <= truth <= high
        narrower += high - low < np.subtract(*compute_wilson(value, 440, 0.95)[::-1])
    assert 182 <= held <= 199  # 93 to 97 % of 200, and chance
    assert narrower > 180


def test_independent_shares_are_combined_by_hand() -> None:
    from scipy.stats import beta, binomtest

    found = combine_shares(np.array([0.9, 1.0]), np.array([20, 5]), np.array([0.75, 0.25]), 0.95)
    low, high = binomtest(18, 20).proportion_ci(method="wilson")
    high = max(high, beta.ppf(1 - 0.075, 19, 2))  # an exact test, let out
    flawless = binomtest(5, 5).proportion_ci(method="wilson").low
    below = np.hypot(0.75 * (0.9 - low), 0.25 * (1 - flawless))
    assert found == pytest.approx((0.925 - below, 0.925 + 0.75 * (high - 0.9)))
    # Of a class that nothing is taken for, nothing is known.
    empty = combine_shares(np.array([0.0, 1.0]), np.array([0, 5]), np.array([0.1, 0.9]), 0.95)
    assert empty[0] == pytest.approx(0.9 - 0.9 * (1 - flawless))
    assert empty[1] == 1.0


def test_holm_by_hand() -> None:
    # Sorted: 0.01 · 4, 0.02 · 3, 0.03 · 2 → raised to 0.06, 0.5 · 1.
    assert list(correct_holm([0.03, 0.01, 0.5, 0.02])) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert list(correct_holm([])) == []


def test_a_bad_slice_is_found_and_a_small_one_is_not_judged() -> None:
    random = np.random.default_rng(0)
    camera = ["phone"] * 100 + ["scanner"] * 490 + ["drone"] * 10
    chance = np.array([0.6] * 100 + [0.95] * 490 + [0.0] * 10)
    correct = random.random(600) < chance
    slices = {"camera": [(name, "") for name in camera]}
    found = {one.value: one for one in judge_slices(slices, correct, alone(600), 30)}
    assert found["phone"].is_worse
    assert found["phone"].gap_interval[1] < 0
    assert not found["scanner"].is_worse
    assert not found["drone"].is_judged
    assert found["drone"].p_value is None
    assert (found["drone"].images, found["drone"].accuracy) == (10, 0.0)


def test_equal_slices_are_seldom_called_worse() -> None:
    random = np.random.default_rng(1)
    false = 0
    for _ in range(40):
        correct = random.random(400) < 0.85
        slices = {f"s{i}": [(str(v), "") for v in random.integers(0, 2, 400)] for i in range(5)}
        false += any(one.is_worse for one in judge_slices(slices, correct, alone(400, 20), 30))
    assert false <= 5  # 5 % of 40 are 2

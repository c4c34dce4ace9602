"""Few, lopsided and grouped images: every figure is defined, or said not to be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from components.common.artifacts.metrics import list_figures
from components.common.statistics.bootstrap import number_groups
from components.common.statistics.means import compute_mean_interval
from components.common.statistics.shares import Sampling
from components.evaluate.metrics.ends import compute_area_ends
from components.evaluate.metrics.evidence import count_evidence
from components.evaluate.metrics.metrics import create_metrics
from components.evaluate.metrics.ranking import Ranking
from tests.evaluate.conftest import predictions_of


def alone(images: int, resamples: int = 300) -> Sampling:
    return Sampling(np.arange(images), 0.95, resamples)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([1, 2, 3, 50]), st.integers(1, 60), st.sampled_from([0.0, 3.0, 40.0]),
    st.booleans(), st.integers(0, 10**6),
)  # fmt: skip
def test_every_figure_is_defined_or_said_to_be_undefined(
    classes: int, images: int, skill: float, grouped: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images) * (random.random(images) < 0.7)  # lopsided
    logits = random.normal(0, 1.5, (images, classes))
    logits[np.arange(images), labels] += skill
    groups = number_groups(random.integers(0, 5, images) if grouped else np.arange(images))
    found = create_metrics(predictions_of(labels, logits), "d", Sampling(groups, 0.95, 100), 5)
    json.dumps(found, allow_nan=False)
    flat = list_figures(found)
    figures = ("accuracy", "top_k.accuracy", "macro.f1", "weighted.precision", "roc_auc", "ece")
    for name in (*figures, "log_loss", "brier", "balanced_accuracy", "average_precision"):
        assert (name in flat) is not (name in found["undefined"]), name
        if name in flat:
            assert (f"{name}.low" in flat) is not (name in found["without_interval"]), name
            if f"{name}.low" in flat and name != "ece":
                assert flat[f"{name}.low"] <= flat[name] <= flat[f"{name}.high"], name
    assert flat["accuracy.high"] - flat["accuracy.low"] > 0.02  # sixty images are never sure
    for score in found["classes"]:
        for name in ("precision", "recall", "f1"):
            ends = score[f"{name}_interval"]
            assert ends is None or (score["images"] >= 20 and ends[0] <= score[name] <= ends[1])


def test_two_classes_with_few_images_in_one() -> None:
    """A plain bootstrap draws resamples of one class alone, where ROC-AUC is no number."""
    labels = np.repeat([0, 1], [40, 3])
    logits = np.random.default_rng(0).normal(0, 1, (43, 2)) + 2 * np.eye(2)[labels]
    found = create_metrics(predictions_of(labels, logits), "d", alone(43, 1000), 1)
    assert found["resamples_dropped"] == {}
    assert "roc_auc" in found["without_interval"]
    assert 0 <= found["roc_auc"] <= 1


def test_newcombes_interval_of_an_area_holds_the_truth() -> None:
    """Scores of two normal distributions: the true area is known."""
    from scipy.stats import norm

    truth = float(norm.cdf(2 / np.sqrt(2)))
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        scores = np.concatenate([random.normal(2, 1, 10), random.normal(0, 1, 90)])
        area = sklearn_metrics.roc_auc_score(np.arange(100) < 10, scores)
        low, high = compute_area_ends(area, 10, 90, 0.95)
        assert low <= area <= high
        held += low <= truth <= high
    assert 182 <= held <= 199  # 93 to 97 % of 200, and chance
    assert compute_area_ends(1.0, 10, 90, 0.95)[0] < 0.99
    assert compute_area_ends(1.0, 10, 90, 0.95)[1] == 1


def test_what_an_image_takes_from_an_area_sums_to_what_is_missing() -> None:
    random = np.random.default_rng(2)
    scores, positive = np.round(4 * random.normal(0, 1, 120)), random.random(120) < 0.3
    ranking = Ranking(scores + positive, positive)
    area, average = (float(one[0]) for one in ranking.compute(np.ones((120, 1))))
    from_area, from_average, from_others = ranking.lose()
    assert 1 - from_others.mean() == pytest.approx(area)
    passed = [(scores[positive] + 1 < one).mean() for one in scores[~positive]]
    level = [0.5 * np.isclose(scores[positive] + 1, one).mean() for one in scores[~positive]]
    assert from_others == pytest.approx(np.add(passed, level))
    assert 1 - from_area.mean() == pytest.approx(area)
    assert 1 - from_average.mean() == pytest.approx(average)
    beaten = [(scores[~positive] > one + 1).mean() for one in scores[positive]]
    tied = [0.5 * np.isclose(scores[~positive], one + 1).mean() for one in scores[positive]]
    assert from_area == pytest.approx(np.add(beaten, tied))


def test_a_mean_of_losses_has_an_interval_where_images_enough_make_it_up() -> None:
    random = np.random.default_rng(0)
    truth, held = float(np.exp(0.5)), 0
    for _ in range(100):
        values = random.lognormal(0, 1, 150)
        ends = compute_mean_interval(values, alone(150, 200))
        assert ends is not None
        held += ends[0] <= truth <= ends[1]
    assert held >= 88
    values[0] = 1e6  # one image is all of it
    assert compute_mean_interval(values, alone(150)) is None


def test_a_very_good_models_log_loss_rests_on_too_few_mistakes_for_an_interval() -> None:
    labels = np.repeat(np.arange(5), 100)
    random = np.random.default_rng(1)
    for skill, is_sure in ((9.0, False), (4.0, True)):
        logits = 2 * random.normal(0, 1, (500, 5)) + skill * np.eye(5)[labels]
        found = create_metrics(predictions_of(labels, logits), "d", alone(500), 2)
        assert ("log_loss" in found["intervals"]) is is_sure
        assert ("log_loss" in found["without_interval"]) is not is_sure


def test_areas_that_hang_on_a_few_images_have_no_interval() -> None:
    """Close to 1, and where one label in a hundred is wrong."""
    labels = np.repeat(np.arange(2), 150)
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, (300, 2))
    for skill, wrong, is_sure in ((1.0, 0, True), (6.0, 0, False), (6.0, 3, False)):
        shown = labels.copy()
        shown[:wrong] = 1
        logits = noise + skill * np.eye(2)[shown]
        found = create_metrics(predictions_of(labels, logits), "d", alone(300), 1)
        for name in ("roc_auc", "average_precision"):
            assert (name in found["intervals"]) is is_sure
            assert (name in found["without_interval"]) is not is_sure
            assert all((one[f"{name}_interval"] is not None) is is_sure for one in found["classes"])


def test_a_class_of_few_images_has_no_interval_nor_what_hangs_on_it() -> None:
    labels = np.repeat([0, 1], [500, 10])
    logits = np.random.default_rng(0).normal(0, 1, (510, 2)) + 2 * np.eye(2)[labels]
    found = create_metrics(predictions_of(labels, logits), "d", alone(510), 1)
    frequent, rare = found["classes"]
    assert frequent["recall_interval"] is not None
    assert frequent["precision_interval"] is None  # which images of the rare one are taken for it
    assert all(rare[f"{name}_interval"] is None for name in ("recall", "precision", "f1"))
    assert {"macro.f1", "weighted.precision"} <= set(found["without_interval"])
    assert {"accuracy", "weighted.f1"} <= set(found["intervals"])
    assert "Too few images for an interval: macro averages." in found["notes"]


def test_what_stands_behind_a_classs_figures_is_their_spread() -> None:
    """Against many draws of the same classes: rows of the confusion are drawn, sizes are fixed."""
    random = np.random.default_rng(0)
    sizes, chances = (40, 2000), np.array([[0.8, 0.2], [0.02, 0.98]])
    pairs = zip(sizes, chances, strict=True)
    drawn = np.stack([random.multinomial(n, of, 20_000) for n, of in pairs], axis=1)
    hits, taken = drawn[:, 0, 0], drawn[:, :, 0].sum(axis=1)
    whole = {"precision": taken, "f1": sizes[0] + drawn[:, 1, 0]}
    labels = np.repeat([0, 1], sizes)
    answers = np.concatenate([np.repeat([0, 1], [32, 8]), np.repeat([0, 1], [40, 1960])])
    evidence = count_evidence(predictions_of(labels, np.eye(2)[answers]), np.arange(2040))
    for name, count in whole.items():
        share, images = (hits / count).mean(), count.mean()
        expected = share * (1 - share) / images / (hits / count).var()
        assert evidence.weigh_class(0)[name][0] == pytest.approx(expected, rel=0.1)
    precisions = [drawn[:, i, i] / drawn[:, :, i].sum(axis=1) for i in (0, 1)]
    weights = np.array(sizes) / 2040
    counts = [drawn[:, :, i].sum(axis=1).mean() for i in (0, 1)]
    shares = [one.mean() for one in precisions]
    alone_ = sum(w**2 * p * (1 - p) / n for w, p, n in zip(weights, shares, counts, strict=True))
    expected = alone_ / (weights @ precisions).var()
    assert evidence.weigh_precisions() == pytest.approx(expected, rel=0.1)


def test_bins_of_the_reliability_diagram_are_as_sure_as_their_groups() -> None:
    labels = np.repeat(np.arange(5), 40) % 2
    logits = np.random.default_rng(3).normal(0, 1, (20, 2)).repeat(10, axis=0)
    reach = {}
    for name, groups in (("alone", np.arange(200)), ("alike", np.arange(200) // 10)):
        found = create_metrics(predictions_of(labels, logits), "d", Sampling(groups, 0.95, 100), 1)
        ends = [one["accuracy_interval"] for one in found["reliability"] if one["images"]]
        reach[name] = [high - low for low, high in ends]
        assert all(
            one["accuracy_interval"] is None for one in found["reliability"] if not one["images"]
        )
    assert all(np.greater(reach["alike"], reach["alone"]))

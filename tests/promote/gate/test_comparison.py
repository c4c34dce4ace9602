"""Paired rules against independent oracles: scipy and scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test
from sklearn.metrics import f1_score, log_loss, recall_score

from components.common.artifacts.predictions import Predictions
from components.promote.gate.comparison import compute_gain
from components.promote.gate.evidence import Evidence
from components.promote.gate.gate import decide
from components.promote.gate.outcomes import Champion, Outcome
from components.promote.gate.sharing import share_images
from components.promote.spec import Rule

BETTER = Rule("accuracy", better_by=0)
NOT_WORSE = Rule("accuracy", not_worse_by=0.02)


def make(right: np.ndarray, seed: int = 0, name: str = "i") -> Predictions:
    """Three classes; where it is wrong it says the next one."""
    random = np.random.default_rng(seed)
    labels = np.arange(len(right)) % 3
    said = np.where(right, labels, (labels + 1) % 3)
    probabilities = random.dirichlet(np.ones(3), len(right)) + 2 * np.eye(3)[said]
    return Predictions(
        class_names=["a", "b", "c"],
        paths=[f"{name}{i}.png" for i in range(len(right))],
        sha256=[f"{name}{i}" for i in range(len(right))],
        labels=labels,
        logits=np.log(probabilities).astype(np.float32),
        probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
    )


def pattern(images: int, won: int, lost: int) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = np.ones(images, bool), np.ones(images, bool)
    theirs[:won] = False
    ours[won : won + lost] = False
    return ours, theirs


def judge(rule: Rule, ours: Predictions, theirs: Predictions, digests: str = "tt") -> Outcome:
    known = {"accuracy": 0.9}
    champion = Champion("7", Evidence(known, digests[1], theirs))
    return decide([rule], Evidence(known, digests[0], ours), champion).outcomes[0]


@pytest.mark.parametrize(
    ("won", "lost", "outcome"),
    [
        (20, 4, "passed"),
        (5, 0, "passed"),  # 1/32 < 0.05
        (4, 0, "not_enough_evidence"),  # 1/16
        (9, 5, "not_enough_evidence"),
        (5, 5, "failed"),
        (0, 0, "failed"),
        (4, 20, "failed"),
    ],
)
def test_better_is_the_exact_mcnemar_test(won: int, lost: int, outcome: str) -> None:
    ours, theirs = (make(right) for right in pattern(400, won, lost))
    found = judge(BETTER, ours, theirs)
    assert found.outcome == outcome, found.words
    if won + lost:
        expected = binomtest(won, won + lost, alternative="greater").pvalue
        assert found.p_value == pytest.approx(expected)
    assert found.images == 400
    assert (found.images_needed is not None) == (outcome == "not_enough_evidence")


def test_images_needed_would_be_enough() -> None:
    """With the same shares on as many images as it asks for, the evidence is clear."""
    ours, theirs = (make(right) for right in pattern(400, 9, 5))
    needed = judge(BETTER, ours, theirs).images_needed
    assert needed is not None
    assert 2000 < needed < 4000  # by hand: 400·0.0347/0.01²·(1.645 + 0.842)²/400 = 2,150
    times = needed / 400
    ours, theirs = (make(right) for right in pattern(needed, round(9 * times), round(5 * times)))
    assert judge(BETTER, ours, theirs).outcome == "passed"


@pytest.mark.parametrize(
    ("won", "lost", "outcome"),
    [(4, 4, "passed"), (90, 90, "not_enough_evidence"), (0, 60, "failed"), (4, 10, "passed")],
)
def test_not_worse_by_a_margin(won: int, lost: int, outcome: str) -> None:
    ours, theirs = (make(right) for right in pattern(1000, won, lost))
    found = judge(NOT_WORSE, ours, theirs)
    assert found.outcome == outcome, found.words


@pytest.mark.parametrize("metric", ["macro.f1", "macro.recall", "log_loss", "accuracy"])
def test_gain_is_the_difference_of_the_metric(metric: str) -> None:
    random = np.random.default_rng(1)
    ours, theirs = make(random.random(300) < 0.9, 1), make(random.random(300) < 0.8, 2)

    def measure(found: Predictions) -> float:
        if metric == "macro.f1":
            return float(f1_score(found.labels, found.predicted, average="macro"))
        if metric == "macro.recall":
            return float(recall_score(found.labels, found.predicted, average="macro"))
        if metric == "log_loss":
            return -float(log_loss(found.labels, found.probabilities))
        return float(found.correct.mean())

    gain = compute_gain(Rule(metric, better_by=0), ours, theirs)
    assert gain.value == pytest.approx(measure(ours) - measure(theirs))
    assert gain.low < gain.value < gain.high
    found = judge(Rule(metric, better_by=0), ours, theirs)
    assert found.outcome == "passed"


def test_same_images_are_compared_in_any_order_and_number() -> None:
    ours, theirs = (make(right) for right in pattern(100, 20, 2))
    order = np.random.default_rng(0).permutation(100)[:90]
    shuffled = Predictions(
        theirs.class_names,
        [theirs.paths[i] for i in order],
        [theirs.sha256[i] for i in order],
        theirs.labels[order],
        theirs.logits[order],
        theirs.probabilities[order],
    )
    shared = share_images(ours, shuffled)
    assert shared.ours.sha256 == shared.theirs.sha256
    assert len(shared.ours) == 90
    # The splits grew: what both saw is enough.
    found = judge(BETTER, ours, shuffled, "tu")
    assert (found.outcome, found.images) == ("passed", 90)


def test_other_images_or_none_are_incomparable() -> None:
    ours, theirs = make(np.ones(50, bool)), make(np.ones(50, bool), name="other")
    found = judge(BETTER, ours, theirs, "tu")
    assert found.outcome == "incomparable"
    assert "measured on other test images: 0 of 50 are the same" in found.words
    champion = Champion("7", Evidence({"accuracy": 0.9}, "t"))
    decision = decide([BETTER], Evidence({"accuracy": 0.9}, "t", ours), champion)
    assert decision.verdict == "incomparable"
    assert "has no predictions to compare with" in decision.words


@pytest.mark.parametrize("metric", ["accuracy", "macro.f1", "macro.recall", "log_loss"])
def test_images_of_one_group_are_one_piece_of_evidence(metric: str) -> None:
    """60 groups of 10 alike, two models as good: by images the rule would pass one in four."""
    random = np.random.default_rng(5)
    passed = blind = 0
    names = [f"g{number // 10}" for number in range(600)]
    for seed in range(60):
        rights = [np.repeat(random.random(60) < 0.85, 10) for _ in range(2)]
        ours, theirs = (make(right, seed) for right in rights)
        if metric == "log_loss":  # alike within a group
            ours, theirs = (
                replace(one, probabilities=one.probabilities[np.arange(600) // 10 * 10])
                for one in (ours, theirs)
            )
            labels = ours.labels[np.arange(600) // 10 * 10]
            ours, theirs = (replace(one, labels=labels) for one in (ours, theirs))
        rule = Rule(metric, better_by=0)
        blind += judge(rule, ours, theirs).outcome == "passed"
        found = judge(rule, replace(ours, groups=names), theirs)
        assert found.interval is not None
        assert found.p_value is not None
        assert (found.interval[0] > 0) == (found.p_value <= 0.05) == (found.outcome == "passed")
        assert (found.outcome == "passed") or "over 60 groups" in found.words
        passed += found.outcome == "passed"
    assert passed <= 7  # 5 % of 60 are 3
    assert blind >= 9


def test_costs_are_compared_image_by_image() -> None:
    """The oracle: SciPy's permutation test of the mean, and the means themselves."""
    ours, theirs = (make(right) for right in pattern(300, 30, 12))
    names = ours.class_names
    costs = {(one, other): float(one != other) for one in names for other in names}
    costs["a", "b"] = 20.0
    champion = Champion("7", Evidence({}, "t", theirs))
    rule = Rule("costs.expected", better_by=0)
    found = decide([rule], Evidence({}, "t", ours, costs), champion).outcomes[0]
    table = np.array([[costs[one, other] for other in names] for one in names])
    paid = [table[one.labels, one.predicted] for one in (ours, theirs)]
    gain = (paid[1] - paid[0]).mean()
    assert f"costs.expected is {gain:.4g} better than the champion's on 300 same" in found.words
    expected = permutation_test(
        (paid[1], paid[0]), lambda x, y: np.mean(x - y), permutation_type="samples",
        alternative="greater", n_resamples=20_000, rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    assert found.p_value == pytest.approx(expected, abs=0.01)
    assert found.outcome == ("passed" if expected < 0.05 else "not_enough_evidence")
    # As many mistakes, yet dear ones.
    dear = replace(theirs, decided=np.where(theirs.labels == 0, 1, theirs.labels))
    worse = decide([rule], Evidence({}, "t", dear, costs), champion).outcomes[0]
    assert worse.outcome == "failed"
    # Without prices nothing can be told, and that is no pass.
    none = decide([rule], Evidence({}, "t", ours), champion).outcomes[0]
    assert none.outcome == "not_enough_evidence"
    assert "evaluate.costs" in none.words

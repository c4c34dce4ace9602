"""Costs decide what is answered, what is handed over, and what a rule may ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.common.artifacts.metrics import is_less_better, list_figures
from components.common.artifacts.predictions import read_predictions, write_predictions
from components.common.errors import DarkroomError
from components.common.serving.decisions import Decisions
from components.common.statistics.shares import Sampling
from components.evaluate.decisions.costs import create_costs, describe_costs
from tests.evaluate.conftest import predictions_of

NAMES = ["melanoma", "naevus", "wart"]


def test_the_table_knows_any_class_and_single_ones() -> None:
    table = {"melanoma": {"*": 50, "wart": 20}, "*": {"melanoma": 3}, "wart": {"wart": 0.5}}
    assert create_costs(table, NAMES) == [[0, 50, 20], [3, 0, 1], [3, 1, 0.5]]
    assert create_costs({}, NAMES) == []
    with pytest.raises(DarkroomError, match=r"no class 'mole'; legal are melanoma, naevus, wart"):
        create_costs({"mole": {"*": 2}}, NAMES)
    with pytest.raises(DarkroomError, match=r"evaluate.costs.wart.\*: must be 0 or more, got -1"):
        create_costs({"wart": {"*": -1}}, NAMES)


def test_the_cheapest_answer_is_given_and_a_dear_one_handed_over() -> None:
    costs = create_costs({"melanoma": {"*": 50}}, NAMES)
    decisions = Decisions(costs=costs, review_cost=0.8)
    # By hand: to say naevus would cost 0.05 · 50 + 0.05; to say melanoma 0.95.
    answer = decisions.judge(np.array([0.05, 0.9, 0.05]), NAMES)
    assert answer == {"label": "melanoma", "probability": 0.05, "unsure": True}
    answer = decisions.judge(np.array([0.01, 0.98, 0.01]), NAMES)  # 0.01 · 50 + 0.01 < 0.8
    assert answer == {"label": "naevus", "probability": 0.98, "unsure": False}
    assert Decisions(costs=costs).judge(np.array([0.05, 0.9, 0.05]), NAMES)["unsure"] is False
    # With equal costs it is the likeliest, also among equals.
    plain = Decisions(costs=create_costs({"*": {"*": 1}}, NAMES))
    table = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    assert (plain.decide(table) == table.argmax(axis=1)).all()


def test_costs_are_measured_with_intervals_that_rules_may_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    logits = 2 * random.normal(0, 1, (600, 3)) + np.log([0.1, 0.6, 0.3])
    found = predictions_of(np.zeros(600), logits, NAMES)
    labels = (found.probabilities.cumsum(axis=1) < random.random((600, 1))).sum(axis=1)
    found = replace(found, labels=labels)  # as the probabilities say: it is calibrated
    decisions = Decisions(0.0, costs=create_costs({"melanoma": {"*": 20}}, NAMES), review_cost=0.5)
    decided = decisions.decide(found.probabilities)
    found = replace(found, decided=decided)
    said = describe_costs(found, decisions, Sampling(np.arange(600), 0.95, 100))
    flat = list_figures(said)
    table = np.array(decisions.costs)
    assert flat["costs.expected"] == pytest.approx(table[labels, decided].mean())
    assert flat["costs.expected"] < flat["costs.likeliest"]
    assert flat["costs.with_review"] < flat["costs.expected"]
    assert flat["costs.expected.low"] < flat["costs.expected"] < flat["costs.expected.high"]
    assert is_less_better("costs.expected.high")
    assert describe_costs(found, Decisions(), Sampling(np.arange(600), 0.95, 100)) == {}
    # What was decided, and not the likeliest class, is what promote compares.
    write_predictions(tmp_path / "p.parquet", found)
    again = read_predictions(tmp_path / "p.parquet")
    assert (again.predicted == decided).all()
    assert (again.correct == (decided == labels)).all()
    assert again.confidence == pytest.approx(found.probabilities[np.arange(600), decided])

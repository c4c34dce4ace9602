"""The gate, without a registry: every verdict with its reasons."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from components.promote.gate.evidence import Evidence, parse_evidence
from components.promote.gate.gate import check_rules, decide, judge_data
from components.promote.gate.outcomes import Champion
from components.promote.spec import Rule

FLOOR = Rule("accuracy", at_least=0.8)
MARGIN = Rule("accuracy", champion_margin=0.01)


def measure(accuracy: float = 0.9, digest: str = "test", **more: float) -> Evidence:
    return Evidence({"accuracy": accuracy, **more}, digest)


def judge(
    *rules: Rule,
    accuracy: float = 0.9,
    champion: Champion | None = None,
    data: str = "passed",
    **more: float,
) -> tuple[str, dict[str, str], str]:
    found = decide(rules, measure(accuracy, **more), champion, [judge_data(data)])
    return found.verdict, {o.limit: o.outcome for o in found.outcomes}, found.words


def test_without_rules_nothing_is_promoted() -> None:
    verdict, _, words = judge()
    assert verdict == "no_rules"
    assert "promote.rules is empty" in words


def test_first_champion_skips_what_is_relative() -> None:
    verdict, outcomes, words = judge(FLOOR, MARGIN)
    assert verdict == "promoted"
    assert outcomes == {"is_not": "passed", "at_least": "passed", "champion_margin": "skipped"}
    assert "first champion" in words


@pytest.mark.parametrize(
    ("rule", "figure", "holds"),
    [
        (FLOOR, 0.8, True),
        (FLOOR, 0.7999, False),
        (FLOOR, math.nan, False),
        (Rule("accuracy", at_most=0.8), 0.8, True),
        (Rule("accuracy", at_most=0.8), 0.8001, False),
        (Rule("accuracy", at_most=0.8), math.nan, False),
    ],
)
def test_absolute_limits(rule: Rule, figure: float, holds: bool) -> None:
    verdict, outcomes, words = judge(rule, accuracy=figure)
    assert verdict == ("promoted" if holds else "rejected")
    assert outcomes[rule.limit] == ("passed" if holds else "failed")
    assert ("is not at" in words) is not holds


@pytest.mark.parametrize(
    ("margin", "theirs", "ours", "holds"),
    [
        (0.01, 0.95, 0.94, True),  # 0.95 - 0.94 is more than 0.01 in floating point
        (0.01, 0.95, 0.9399, False),
        (0.01, 0.90, 0.95, True),
        (0.0, 0.9, 0.9, True),
        (-0.02, 0.9, 0.91, False),  # must be better by 0.02
        (-0.02, 0.9, 0.92, True),
        (0.01, math.nan, 0.9, False),
    ],
)
def test_margin_to_the_champion(margin: float, theirs: float, ours: float, holds: bool) -> None:
    champion = Champion("7", measure(theirs))
    verdict, _, words = judge(
        Rule("accuracy", champion_margin=margin), accuracy=ours, champion=champion
    )
    assert verdict == ("promoted" if holds else "rejected")
    assert ("replaces version 7" if holds else "version 7 stays champion") in words


@pytest.mark.parametrize("metric", ["log_loss", "calibration.ece", "calibration.ece.high"])
def test_margin_where_less_is_better(metric: str) -> None:
    champion = Champion("7", measure(**{metric: 0.30}))
    rule = Rule(metric, champion_margin=0.01)
    assert judge(rule, champion=champion, **{metric: 0.20})[0] == "promoted"
    verdict, _, words = judge(rule, champion=champion, **{metric: 0.35})
    assert verdict == "rejected"
    assert f"{metric} 0.35 is 0.05 worse than the champion's 0.3, at most 0.01 worse" in words


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (measure(digest="other"), "was measured on other test images"),
        (None, "has no evaluation to compare with"),
        (Evidence({"macro.f1": 1.0}, "test"), "was measured without accuracy"),
    ],
)
def test_champion_that_cannot_be_compared_stays(evidence: Evidence | None, words: str) -> None:
    verdict, outcomes, found = judge(FLOOR, MARGIN, champion=Champion("7", evidence))
    assert (verdict, outcomes["champion_margin"]) == ("incomparable", "incomparable")
    assert f"the champion, version 7, {words}" in found
    assert "version 7 stays champion" in found
    assert "Evaluate both on the same images, or let a person decide" in found
    # A floor that is missed is a reason of its own, and stronger.
    assert judge(FLOOR, MARGIN, accuracy=0.1, champion=Champion("7", evidence))[0] == "rejected"
    # Who set only absolute rules asked for no comparison.
    assert judge(FLOOR, champion=Champion("7", evidence))[0] == "promoted"


def test_champion_is_not_compared_with_itself() -> None:
    champion = Champion("7", measure(), is_challenger=True)
    verdict, outcomes, words = judge(FLOOR, MARGIN, champion=champion)
    assert (verdict, outcomes["champion_margin"]) == ("promoted", "skipped")
    assert "was champion already" in words
    verdict, _, words = judge(FLOOR, accuracy=0.1, champion=champion)
    assert verdict == "rejected"
    assert "version 7 stays champion" in words


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("failed", "rejected"), ("passed", "promoted"), ("passed with warnings", "promoted")],
)
def test_failed_data_is_never_promoted(status: str, verdict: str) -> None:
    found, outcomes, words = judge(FLOOR, data=status)
    assert found == verdict
    assert outcomes["is_not"] == ("failed" if status == "failed" else "passed")
    assert ("the verdict on the data is failed: see validation.json" in words) is (
        status == "failed"
    )


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_promotion_means_that_every_rule_holds(
    ours: float, theirs: float, floor: float, margin: float
) -> None:
    rules = (Rule("accuracy", at_least=floor), Rule("accuracy", champion_margin=margin))
    promoted = (
        judge(*rules, accuracy=ours, champion=Champion("1", measure(theirs)))[0] == "promoted"
    )
    # Exact limits are a matter of rounding, and tested above.
    if abs(ours - floor) > 1e-6 and abs(theirs - ours - margin) > 1e-6:
        assert promoted == (ours >= floor and theirs - ours <= margin)


def test_unknown_metric_is_refused_with_the_legal_ones() -> None:
    evidence = parse_evidence(
        {"accuracy": 0.9, "macro": {"f1": 0.8}, "test_digest": "t"}, "metrics.json"
    )
    check_rules([FLOOR, Rule("macro.f1", at_least=0.1)], evidence, "metrics.json")
    with pytest.raises(
        DarkroomError,
        match=r"promote.rules\[1\].metric: metrics.json holds no `macro.f2`; did you mean "
        r"`macro.f1`\? it holds accuracy, macro.f1$",
    ):
        check_rules([FLOOR, Rule("macro.f2", at_least=0.1)], evidence, "metrics.json")
    many = Evidence({f"classes.{i}.f1": 1.0 for i in range(30)}, "t")
    with pytest.raises(DarkroomError, match="and 18 more"):
        check_rules([FLOOR], many, "metrics.json")


def test_unknown_metric_of_each_class_is_refused_too() -> None:
    figures = {"classes.a.b.images": 9.0, "classes.a.b.recall": 1.0, "classes.a.b.recall.low": 0.7}
    evidence = Evidence(figures, "t", unmeasured={"classes.a.b.f1.low": "too few images"})
    for metric in ("recall", "recall.low", "f1.low"):
        check_rules([Rule(metric, each="classes", at_least=0.1)], evidence, "metrics.json")
    wrong = Rule("recal", each="classes", at_least=0.1)
    with pytest.raises(DarkroomError, match=r"no `recal` of classes; did you mean `recall`\? it"):
        check_rules([wrong], evidence, "metrics.json")
    check_rules([Rule("recal", each="slices", at_least=0.1)], evidence, "metrics.json")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"metric": "accuracy"},
        {"at_least": 0.5},
        {"metric": "accuracy", "at_least": 0.5, "at_most": 0.9},
        {"metric": "accuracy", "at_least": math.nan},
        {"metric": "accuracy", "champion_margin": math.inf},
    ],
)
def test_rule_wants_a_metric_and_one_limit(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="exactly one of at_least, at_most, champion_margin"):
        Rule(**settings)  # type: ignore[arg-type]


def test_evidence_names_numbers_and_ends_of_intervals() -> None:
    found = {
        "test_digest": "t",
        "accuracy": 0.9,
        "images": 100,
        "macro": {"f1": 0.8},
        "classes": {"T-shirt v.2": {"f1": 0.7}},
        "note": "text",
        "flag": True,
        "confusion": [[1, 2], [3, 4]],
        "intervals": {"accuracy": [0.85, 0.95], "macro.f1": [0.7, 0.9]},
    }
    assert parse_evidence(found, "metrics.json") == Evidence(
        {
            "accuracy": 0.9,
            "images": 100.0,
            "macro.f1": 0.8,
            "classes.T-shirt v.2.f1": 0.7,
            "accuracy.low": 0.85,
            "accuracy.high": 0.95,
            "macro.f1.low": 0.7,
            "macro.f1.high": 0.9,
        },
        "t",
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metric": "recall", "each": "classes", "better_by": 0.0}, "each: goes with at_least"),
        ({"metric": "recall", "at_least": 0.5, "min_images": 3}, "min_images: goes with each"),
        (
            {"metric": "f1", "each": "classes", "at_least": 0.5, "min_images": 9, "small": "test"},
            "small: test goes with accuracy or recall at_least",
        ),
        (
            {"metric": "recall", "each": "classes", "at_least": 0.5, "small": "test"},
            "small: test goes with min_images",
        ),
        ({"metric": "ece", "better_by": 0.0}, "better_by: can compare accuracy, macro.f1"),
        ({"metric": "accuracy", "not_worse_by": -0.1}, "not_worse_by: must be 0 or more"),
    ],
)
def test_rule_refuses_what_makes_no_sense(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rule(**settings)  # type: ignore[arg-type]


def measure_classes(**classes: tuple[float, int]) -> Evidence:
    figures = {"accuracy": 0.9, "images": 100.0}
    for name, (recall, images) in classes.items():
        figures |= {f"classes.{name}.recall": recall, f"classes.{name}.images": images}
    return Evidence(figures, "test")


@pytest.mark.parametrize(
    ("classes", "outcome", "words"),
    [
        ({"a": (0.9, 40), "b": (0.6, 30)}, "passed", "each of 2 classes, worst b 0.6"),
        ({"a": (0.9, 40), "b": (0.4, 30)}, "failed", "not at least 0.5 in classes b 0.4"),
        ({"a": (0.9, 40), "b": (math.nan, 30)}, "failed", "classes b nan"),
        ({"a": (0.9, 40), "b": (0.1, 5)}, "passed", "1 with fewer than 20 images not judged"),
        ({"a": (0.9, 9), "b": (0.1, 5)}, "not_enough_evidence", "none of 2 classes has the 20"),
        ({"a": (0.9, 9), "b": (0.1, 5)}, "not_enough_evidence", "`small: test` in that rule"),
        ({}, "skipped", "the evaluation has no classes with it"),
    ],
)
def test_floor_for_each_class_with_images_enough(
    classes: dict[str, tuple[float, int]], outcome: str, words: str
) -> None:
    rule = Rule("recall", each="classes", at_least=0.5, min_images=20)
    decision = decide([rule], measure_classes(**classes), None)
    assert decision.outcomes[0].outcome == outcome
    assert words in decision.outcomes[0].words
    passes = outcome in ("passed", "skipped")
    assert decision.verdict == ("promoted" if passes else "rejected")


@pytest.mark.parametrize(
    ("classes", "outcome", "words"),
    [
        ({"a": (0.9, 9), "b": (0.4, 5)}, "passed", "2 with fewer than 20 images tested: none is"),
        ({"a": (0.9, 40), "b": (0.4, 5)}, "passed", "worst a 0.9; 1 with fewer than 20 images"),
        # 1 of 9 right: 0.5 ** 9 * (1 + 9) = 0.0195, less than 0.05 / 2
        ({"a": (0.9, 10), "b": (1 / 9, 9)}, "failed", "classes b 0.1111 (9 images)"),
        # 1 of 8: 0.0352, and with one such class alone less than 0.05
        ({"a": (0.9, 10), "b": (1 / 8, 8)}, "passed", "none is shown"),
        ({"a": (0.9, 40), "b": (1 / 8, 8)}, "failed", "classes b 0.125 (8 images)"),
        ({"a": (0.4, 40), "b": (0.9, 8)}, "failed", "classes a 0.4 (40 images)"),
        ({}, "skipped", "the evaluation has no classes with it"),
    ],
)
def test_small_classes_fail_where_an_exact_test_shows_them_weak(
    classes: dict[str, tuple[float, int]], outcome: str, words: str
) -> None:
    rule = Rule("recall", each="classes", at_least=0.5, min_images=20, small="test")
    found = decide([rule], measure_classes(**classes), None).outcomes[0]
    assert (found.outcome, words in found.words) == (outcome, True), found.words


def test_ceiling_for_each_class_names_the_highest() -> None:
    rule = Rule("recall", each="classes", at_most=0.7)
    outcome = decide([rule], measure_classes(a=(0.9, 4), b=(0.8, 3)), None).outcomes[0]
    assert "classes a 0.9 (4 images), b 0.8 (3 images)" in outcome.words


def test_interval_that_is_too_wide_says_how_many_images_it_takes() -> None:
    """Four times as many images halve an interval: low 0.70 becomes 0.75."""
    evidence = measure(0.8, **{"accuracy.low": 0.70, "accuracy.high": 0.88, "images": 100.0})
    outcome = decide([Rule("accuracy.low", at_least=0.75)], evidence, None).outcomes[0]
    assert (outcome.outcome, outcome.images_needed) == ("not_enough_evidence", 400)
    # Where the figure itself misses, no number of images helps.
    outcome = decide([Rule("accuracy.low", at_least=0.85)], evidence, None).outcomes[0]
    assert outcome.outcome == "failed"


def test_figures_of_the_served_model_need_no_evaluation() -> None:
    rule = Rule("served.p95_ms", at_most=100)
    check_rules([rule], measure(), "metrics.json")
    assert decide([rule], measure(**{"served.p95_ms": 90.0}), None).verdict == "promoted"
    assert decide([rule], measure(**{"served.p95_ms": 110.0}), None).verdict == "rejected"
    assert "could not be measured" in decide([rule], measure(), None).words


@pytest.mark.parametrize("found", [[], {}, {"accuracy": 1.0}, {"test_digest": 3}])
def test_what_is_no_evaluation(found: object) -> None:
    with pytest.raises(
        DarkroomError, match=r"metrics.json: holds no evaluation with a test_digest"
    ):
        parse_evidence(found, "metrics.json")


def test_what_could_not_be_measured_is_no_proof_and_no_mistake_of_the_rules() -> None:
    found = {
        "accuracy": 0.9,
        "macro": {"f1": 0.8},
        "test_digest": "t",
        "without_interval": ["macro.f1"],
        "uncalibrated": {"ece": 0.1, "ece_interval": None},
        "undefined": {"roc_auc": "all test images are of one class"},
    }
    evidence = parse_evidence(found, "metrics.json")
    for metric, words in (
        ("macro.f1.low", "macro.f1 has too few test images for an interval"),
        ("uncalibrated.ece.high", "uncalibrated.ece has too few test images for an interval"),
        ("roc_auc", "roc_auc is not defined: all test images are of one class"),
        ("roc_auc.low", "roc_auc is not defined"),
    ):
        for rule in (Rule(metric, at_least=0.1), Rule(metric, champion_margin=0.1)):
            check_rules([rule], evidence, "metrics.json")
            decision = decide([rule], evidence, Champion("7", evidence))
            assert decision.outcomes[0].outcome == "not_enough_evidence"
            assert words in decision.words
    with pytest.raises(DarkroomError, match=r"holds no `macro.f1.lo`"):
        check_rules([Rule("macro.f1.lo", at_least=0.1)], evidence, "metrics.json")


def test_a_part_without_the_figure_is_never_passed_over_in_silence() -> None:
    few = {"recall": 0.9, "recall_interval": None, "precision": None, "precision_interval": None}
    sure = {"recall": 0.9, "recall_interval": [0.8, 0.95], "precision": 0.9}
    found = {
        "accuracy": 0.9,
        "test_digest": "t",
        "classes": [
            {"name": "a", "images": 100, **sure, "precision_interval": [0.8, 0.95]},
            {"name": "b", "images": 12, **few},
            {"name": "c", "images": 0, "recall": None, "recall_interval": None},
        ],
    }
    evidence = parse_evidence(found, "metrics.json")
    for settings, outcome, words in (
        (
            {"metric": "recall.low"},
            "not_enough_evidence",
            "b.recall has too few .* `min_images: 13`",
        ),
        ({"metric": "precision"}, "not_enough_evidence", "b.precision is not defined"),
        ({"metric": "recall.low", "min_images": 13}, "passed", "in each of 1 classes"),
        ({"metric": "recall.low", "at_least": 0.85}, "failed", "in classes a 0.8"),
        ({"metric": "recall"}, "passed", "in each of 2 classes"),
    ):
        rule = Rule(**{"each": "classes", "at_least": 0.5, **settings})  # type: ignore[arg-type]
        (found_outcome,) = decide([rule], evidence, None).outcomes
        assert found_outcome.outcome == outcome
        assert re.search(words, found_outcome.words), found_outcome.words
    rule = Rule("classes.b.recall.low", at_least=0.5)
    check_rules([rule], evidence, "metrics.json")
    assert decide([rule], evidence, None).outcomes[0].outcome == "not_enough_evidence"


@pytest.mark.parametrize(
    "found", [{"decisions": 5}, {"undefined": [1]}, {"accuracy": 10**400}, {"without_interval": 7}]
)
def test_metrics_of_another_form_are_told(found: dict[str, object]) -> None:
    with pytest.raises(DarkroomError, match=r"metrics\.json: not an evaluation of this version"):
        parse_evidence({"test_digest": "t", **found}, "metrics.json")

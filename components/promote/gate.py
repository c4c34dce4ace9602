"""The gate: rules and evidence in, a verdict with reasons out. It knows no registry and no network.

Absolute rules look at the challenger alone. Relative ones look at the champion too: without a
champion they are skipped and say so; against figures on other images they are incomparable, which
is no pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from components.common.errors import DarkroomError
from components.promote.evidence import Evidence
from components.promote.spec import Rule

# Verdicts, and outcomes of a rule.
PROMOTED, REJECTED, INCOMPARABLE, NO_RULES = "promoted", "rejected", "incomparable", "no_rules"
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
DATA_FAILED = "failed"  # as validate says it

# Figures of which less is better, by the last part of their name; of all others more is.
LESS_IS_BETTER = ("ece", "mce", "brier", "log_loss", "loss", "error", "latency_ms", "bytes")
# 0.95 - 0.01 is a little more than 0.94 in floating point: what is equal on paper passes.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Champion:
    """The version that serves now."""

    version: str
    evidence: Evidence | None  # None: its evaluation is not to be had
    is_challenger: bool = False  # the gate is asked about the champion itself


@dataclass(frozen=True)
class Outcome:
    """What became of one rule."""

    rule: str  # in words
    metric: str
    limit: str
    threshold: float | str
    figure: float | str
    interval: list[float] | None
    champion: float | None  # the champion's figure
    outcome: str
    words: str


@dataclass(frozen=True)
class Decision:
    """The verdict and its reasons."""

    verdict: str
    words: str
    outcomes: list[Outcome]


def check_rules(rules: Sequence[Rule], evidence: Evidence, source: str) -> None:
    """Raise DarkroomError if a rule names a figure that the evaluation does not hold."""
    for number, rule in enumerate(rules):
        if rule.metric not in evidence.figures:
            near = difflib.get_close_matches(rule.metric, evidence.figures, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            known = sorted(evidence.figures, key=lambda name: (name.count("."), name))
            more = f" and {len(known) - 12} more" if len(known) > 12 else ""
            raise DarkroomError(
                f"promote.rules[{number}].metric: {source} holds no `{rule.metric}`; {hint}it "
                f"holds {', '.join(known[:12])}{more}"
            )


def decide(
    rules: Sequence[Rule], challenger: Evidence, champion: Champion | None, data_status: str
) -> Decision:
    """Judge a challenger.

    Args:
        rules: all must hold.
        challenger: its figures; they hold every metric of the rules (:func:`check_rules`).
        champion: the version to beat, None if there is none yet.
        data_status: the verdict of validate on the images.
    """
    outcomes = [_judge_data(data_status)]
    for rule in rules:
        judge = _judge_relative if rule.limit == "champion_margin" else _judge_absolute
        outcomes.append(judge(rule, challenger, champion))
    kept = (
        "there is no champion" if champion is None else f"version {champion.version} stays champion"
    )
    failed = [outcome for outcome in outcomes if outcome.outcome == FAILED]
    open_ones = [outcome for outcome in outcomes if outcome.outcome == INCOMPARABLE]
    if not rules:
        words = "promote.rules is empty, and without rules nothing is promoted: add some"
        return Decision(NO_RULES, words, outcomes)
    if failed:
        words = f"{'; '.join(outcome.words for outcome in failed)}; {kept}"
        return Decision(REJECTED, words, outcomes)
    if open_ones:
        words = (
            f"{open_ones[0].words}; {kept}. Evaluate both on the same images, or move the alias by "
            "hand (make ui)"
        )
        return Decision(INCOMPARABLE, words, outcomes)
    if champion is None:
        words = "every rule holds, and it is the first champion"
    elif champion.is_challenger:
        words = "every rule holds, and it was champion already"
    else:
        words = f"every rule holds, and it replaces version {champion.version}"
    return Decision(PROMOTED, words, outcomes)


def _judge_data(status: str) -> Outcome:
    fails = status == DATA_FAILED
    words = f"the verdict on the data is {status}"
    return Outcome(
        rule="the data did not fail",
        metric="validation.status",
        limit="is_not",
        threshold=DATA_FAILED,
        figure=status,
        interval=None,
        champion=None,
        outcome=FAILED if fails else PASSED,
        words=f"{words}: see validation.json, mend the images and run again" if fails else words,
    )


def _judge_absolute(rule: Rule, challenger: Evidence, champion: Champion | None) -> Outcome:
    figure, threshold = challenger.figures[rule.metric], rule.threshold
    is_floor = rule.limit == "at_least"
    gap = figure - threshold if is_floor else threshold - figure
    holds = gap >= -TOLERANCE  # NaN is no pass
    wanted = f"at {'least' if is_floor else 'most'} {threshold:g}"
    words = (
        f"{rule.metric} {figure:.4g} is {wanted}"
        if holds
        else f"{rule.metric} {figure:.4g} is not {wanted}"
    )
    return _create_outcome(rule, challenger, champion, PASSED if holds else FAILED, words)


def _judge_relative(rule: Rule, challenger: Evidence, champion: Champion | None) -> Outcome:
    def answer(outcome: str, words: str) -> Outcome:
        return _create_outcome(rule, challenger, champion, outcome, words)

    if champion is None:
        return answer(SKIPPED, f"{rule.metric}: no champion yet to compare with")
    name = f"the champion, version {champion.version},"
    if champion.is_challenger:
        return answer(SKIPPED, f"{rule.metric}: it is the champion itself")
    if champion.evidence is None:
        return answer(INCOMPARABLE, f"{name} has no evaluation to compare with")
    if champion.evidence.test_digest != challenger.test_digest:
        return answer(INCOMPARABLE, f"{name} was measured on other test images")
    theirs = champion.evidence.figures.get(rule.metric)
    if theirs is None:
        return answer(INCOMPARABLE, f"{name} was measured without {rule.metric}")
    figure = challenger.figures[rule.metric]
    worse = figure - theirs if _less_is_better(rule.metric) else theirs - figure
    holds = worse <= rule.threshold + TOLERANCE
    compared = (
        "equals"
        if abs(worse) <= TOLERANCE
        else f"is {abs(worse):.4g} {'worse' if worse > 0 else 'better'} than"
    )
    words = f"{rule.metric} {figure:.4g} {compared} the champion's {theirs:.4g}"
    wanted = (
        f", at most {rule.threshold:g} worse is allowed"
        if rule.threshold >= 0
        else (f", at least {-rule.threshold:g} better is wanted")
    )
    return answer(PASSED if holds else FAILED, words if holds else words + wanted)


def _less_is_better(metric: str) -> bool:
    name = metric.removesuffix(".low").removesuffix(".high")
    return name.rpartition(".")[2] in LESS_IS_BETTER


def _create_outcome(
    rule: Rule, challenger: Evidence, champion: Champion | None, outcome: str, words: str
) -> Outcome:
    figures = challenger.figures
    ends = [figures.get(f"{rule.metric}.low"), figures.get(f"{rule.metric}.high")]
    theirs = champion.evidence.figures.get(rule.metric) if champion and champion.evidence else None
    limit = rule.limit.replace("_", " ")
    return Outcome(
        rule=f"{rule.metric} {limit} {rule.threshold:g}",
        metric=rule.metric,
        limit=rule.limit,
        threshold=rule.threshold,
        figure=figures[rule.metric],
        interval=None if None in ends else [end for end in ends if end is not None],
        champion=theirs,
        outcome=outcome,
        words=words,
    )

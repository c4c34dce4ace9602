"""What becomes of one rule, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.promote.gate.evidence import Evidence
from components.promote.spec import Rule

# Verdicts.
PROMOTED, REJECTED, INCOMPARABLE, NO_RULES = "promoted", "rejected", "incomparable", "no_rules"
AWAITING = "awaiting_approval"  # every rule holds, and promote.mode leaves the rest to a person
# Outcomes of a rule; `incomparable` is one as well.
PASSED, FAILED, SKIPPED, TOO_FEW = "passed", "failed", "skipped", "not_enough_evidence"

MARKS = {PASSED: "✓", FAILED: "✗", INCOMPARABLE: "?", TOO_FEW: "?"}  # what was skipped gets a dash

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
    figure: float | str | None
    interval: list[float] | None
    champion: float | None  # the champion's figure
    outcome: str
    words: str
    images: int | None = None  # on which it was judged, where that is not the whole test split
    images_needed: int | None = None  # to tell, where the evidence is not enough
    p_value: float | None = None


@dataclass(frozen=True)
class Decision:
    """The verdict and its reasons."""

    verdict: str
    words: str
    outcomes: list[Outcome]


def create_outcome(
    rule: Rule,
    challenger: Evidence,
    champion: Champion | None,
    outcome: str,
    words: str,
    **more: object,
) -> Outcome:
    """Return an outcome with the figures that stand beside it."""
    figures = challenger.figures
    low, high = figures.get(f"{rule.metric}.low"), figures.get(f"{rule.metric}.high")
    theirs = champion.evidence.figures.get(rule.metric) if champion and champion.evidence else None
    known: dict[str, object] = {
        "rule": rule.words,
        "metric": rule.metric,
        "limit": rule.limit,
        "threshold": rule.threshold,
        "figure": figures.get(rule.metric),
        "interval": None if low is None or high is None else [low, high],
        "champion": theirs,
        "outcome": outcome,
        "words": words,
    }
    return Outcome(**(known | more))  # type: ignore[arg-type]


def create_check(name: str, metric: str, figure: str, holds: bool, words: str) -> Outcome:
    """Return the outcome of a condition that no params.yaml can switch off."""
    return Outcome(
        rule=name,
        metric=metric,
        limit="is_not",
        threshold="failed",
        figure=figure,
        interval=None,
        champion=None,
        outcome=PASSED if holds else FAILED,
        words=words,
    )


def describe_outcomes(outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each rule of a verdict."""
    return [f"{MARKS.get(outcome['outcome'], '–')} {outcome['words']}" for outcome in outcomes]

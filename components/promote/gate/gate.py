"""The gate: rules and evidence in, a verdict with reasons out. It knows no registry and no network.

Absolute rules look at the challenger alone. Relative ones look at the champion too: without a
champion they are skipped and say so; against figures on other images they are incomparable, which
is no pass. Evidence that is not enough is no pass either, and says how much would be.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.common.errors import DarkroomError
from components.common.settings.params import suggest
from components.promote.gate.comparison import judge_relative
from components.promote.gate.evidence import Evidence
from components.promote.gate.floors import judge_absolute
from components.promote.gate.outcomes import (
    FAILED,
    INCOMPARABLE,
    NO_RULES,
    PROMOTED,
    REJECTED,
    TOO_FEW,
    Champion,
    Decision,
    Outcome,
    create_check,
)
from components.promote.spec import ABSOLUTE, PAIRED, SERVED, Rule

DATA_FAILED = "failed"  # as validate says it


def check_rules(rules: Sequence[Rule], evidence: Evidence, source: str) -> None:
    """Raise DarkroomError if a rule names a figure that the evaluation does not hold."""
    for number, rule in enumerate(rules):
        if rule.metric in SERVED or rule.limit in PAIRED:
            continue
        held = evidence.list_metrics(rule.each) if rule.each else evidence.list_all()
        if held and rule.metric not in held:
            hint = suggest(rule.metric, held if rule.each else [*held, *SERVED])
            known = sorted(held, key=lambda name: (name.count("."), name))
            more = f" and {len(known) - 12} more" if len(known) > 12 else ""
            of = f" of {rule.each}" if rule.each else ""
            raise DarkroomError(
                f"promote.rules[{number}].metric: {source} holds no `{rule.metric}`{of}; {hint}it "
                f"holds {', '.join(known[:12])}{more}"
            )


def decide(
    rules: Sequence[Rule],
    challenger: Evidence,
    champion: Champion | None,
    checks: Sequence[Outcome] = (),
) -> Decision:
    """Judge a challenger.

    Args:
        rules: all must hold.
        challenger: its figures; they hold every metric of the rules (:func:`check_rules`).
        champion: the version to beat, None if there is none yet.
        checks: conditions that hold always, judged already: the data, the served model.
    """
    outcomes = list(checks)
    for rule in rules:
        judge = judge_absolute if rule.limit in ABSOLUTE else judge_relative
        outcomes.append(judge(rule, challenger, champion))
    kept = f"version {champion.version} stays champion" if champion else "there is no champion"
    missed = [number for number, one in enumerate(outcomes[len(checks) :]) if one.outcome == FAILED]
    if missed and champion is None:  # what a team asks at last may be too much for its first model
        places = ", ".join(f"promote.rules[{number}]" for number in missed)
        kept += f": lower {places} in params.yaml for a first model, or train a better one"
    if not rules:
        words = "promote.rules is empty, and without rules nothing is promoted: add some"
        return Decision(NO_RULES, words, outcomes)
    if failed := [outcome.words for outcome in outcomes if outcome.outcome == FAILED]:
        return Decision(REJECTED, f"{'; '.join(failed)}; {kept}", outcomes)
    if open_ones := [outcome.words for outcome in outcomes if outcome.outcome == INCOMPARABLE]:
        words = (
            f"{open_ones[0]}; {kept}. Evaluate both on the same images, or let a person decide: "
            "python -m components.promote approve"
        )
        return Decision(INCOMPARABLE, words, outcomes)
    if too_few := [outcome.words for outcome in outcomes if outcome.outcome == TOO_FEW]:
        return Decision(REJECTED, f"{'; '.join(too_few)}; {kept}", outcomes)
    if champion is None:
        words = "every rule holds, and it is the first champion"
    elif champion.is_challenger:
        words = "every rule holds, and it was champion already"
    else:
        words = f"every rule holds, and it replaces version {champion.version}"
    return Decision(PROMOTED, words, outcomes)


def judge_data(status: str) -> Outcome:
    """Return the outcome of the verdict on the data: what failed is never promoted."""
    words = f"the verdict on the data is {status}"
    fails = status == DATA_FAILED
    words += ": see validation.json, mend the images and run again" if fails else ""
    return create_check("the data did not fail", "validation.status", status, not fails, words)

"""From a registered version to a verdict on it, and to the aliases that follow from the verdict."""

from __future__ import annotations

from typing import Any

from components.common.terminal import say
from components.common.tracking.tags import CHALLENGER, CHAMPION
from components.promote.challenge import Challenge
from components.promote.gate.gate import decide, judge_data
from components.promote.gate.outcomes import (
    AWAITING,
    PROMOTED,
    Champion,
    Decision,
    Outcome,
    create_check,
)
from components.promote.registry.ledger import CHALLENGE, PROMOTE, Book
from components.promote.registry.moves import Move, Mover, OvertakenError
from components.promote.registry.registry import Registry
from components.promote.serving.check import Served
from components.promote.spec import Params


def challenge_aliases(mover: Mover, version: str, run_id: str) -> None:
    """Point `challenger` at the version that is judged now."""
    while True:
        before = mover.ledger.read().get_version(CHALLENGER)
        if before == version:
            return
        try:
            reason, evidence = "it is judged now", {"run_id": run_id}
            mover.move(Move(CHALLENGE, CHALLENGER, before, version, reason, evidence))
        except OvertakenError:
            continue


def judge_and_move(
    mover: Mover, challenge: Challenge, served: Served, version: str, params: Params
) -> tuple[Decision, Champion | None]:
    """Judge a version against the champion of this moment and move the alias if it wins.

    If another promotion gets through first, it is judged again, against that champion.
    """
    evidence = challenge.evidence.with_figures(served.figures)
    while True:
        book = mover.ledger.read()
        champion = find_champion(mover.registry, book, version)
        checks = [judge_data(challenge.data_status), judge_served(served)]
        checks += judge_return(book, version)
        decision = decide(params.rules, evidence, champion, checks)
        if decision.verdict != PROMOTED or (champion and champion.is_challenger):
            return decision, champion
        if params.mode == "approve":
            words = (
                "every rule holds; a person decides: python -m components.promote approve "
                f"{version} --by NAME --reason TEXT"
            )
            return Decision(AWAITING, words, decision.outcomes), champion
        before = champion.version if champion else None
        reasons: dict[str, Any] = {
            "verdict": decision.verdict,
            "model_digest": challenge.digest,
            "figures": challenge.figures,
            "rules": [f"{o.rule}: {o.outcome}" for o in decision.outcomes][:20],
        }
        try:
            mover.move(Move(PROMOTE, CHAMPION, before, version, decision.words, reasons))
        except OvertakenError as overtaken:
            say(f"another promotion was faster: version {overtaken.version} is champion now")
            continue
        return decision, champion


def find_champion(registry: Registry, book: Book, challenger: str) -> Champion | None:
    """Return the champion of the ledger with its evaluation, None if there is none."""
    version = book.get_version(CHAMPION)
    if version is None:
        return None
    if version == challenger:
        return Champion(version, None, is_challenger=True)
    found = registry.client.get_model_version(registry.name, version)
    return Champion(version, registry.read_evidence(found, with_predictions=True))


def judge_served(served: Served) -> Outcome:
    """Return the outcome of the check of the served model."""
    word = "failed" if served.problem else "passed"
    name = "the served model answers as measured"
    return create_check(name, "served.check", word, not served.problem, served.words)


def judge_return(book: Book, version: str) -> list[Outcome]:
    """Return an outcome for a version that a person took back: the rules do not overrule that."""
    found = book.find_rollback(CHAMPION, version)
    if found is None:
        return []
    words = (
        f"{found.who} took it back on {found.time[:10]} ({found.why}); only a person brings it "
        f"back: python -m components.promote approve {version} --by NAME --reason TEXT"
    )
    return [create_check("nobody took it back", "ledger.rollback", "failed", False, words)]

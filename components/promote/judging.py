"""From a registered version to a verdict on it, and to the aliases that follow from the verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from components.common.terminal import say
from components.common.tracking.tags import (
    CHALLENGER,
    CHAMPION,
    PREFIX,
    VERDICT,
    VERDICT_WORDS,
)
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
from components.promote.registry.book import CHALLENGE, PROMOTE, SEAL, SOURCE, Book
from components.promote.registry.moves import Move, Mover, OvertakenError
from components.promote.registry.registry import Registry
from components.promote.serving.check import Served
from components.promote.spec import Params


def judge_and_move(
    mover: Mover, challenge: Challenge, served: Served, version: str, params: Params
) -> tuple[Decision, Champion | None]:
    """Judge a version against the champion of this moment and move the aliases that follow from it.

    `challenger` goes to it in any case, `champion` if it wins. If another promotion gets through
    first, it is judged again, against that champion.
    """
    evidence = challenge.evidence.with_figures(served.figures)
    while True:
        book = mover.ledger.read()
        champion = find_champion(mover.registry, book, version)
        checks = [judge_data(challenge.data_status), judge_served(served)]
        checks += judge_return(book, version)
        decision = decide(params.rules, evidence, champion, checks)
        wins = decision.verdict == PROMOTED and not (champion and champion.is_challenger)
        if wins and params.mode == "approve":
            words = (
                "every rule holds; a person decides: python -m components.promote approve "
                f"{version} --by NAME --reason TEXT"
            )
            decision = Decision(AWAITING, words, decision.outcomes)
        try:
            _challenge(mover, challenge, served, version, decision)
            if not wins or decision.verdict == AWAITING:
                return decision, champion
            reasons: dict[str, Any] = {
                "verdict": decision.verdict,
                "model_digest": challenge.digest,
                "figures": challenge.figures,
                "rules": [f"{o.rule}: {o.outcome}" for o in decision.outcomes][:20],
            }
            before, last = book.get_version(CHAMPION), book.find_last(CHAMPION)
            seen = last.number if last else 0
            move = Move(PROMOTE, CHAMPION, before, version, decision.words[:1500], reasons, seen)
            mover.move(move)
        except OvertakenError as overtaken:
            say(f"another promotion was faster: version {overtaken.version} is champion now")
            continue
        return decision, champion


def _challenge(
    mover: Mover,
    challenge: Challenge,
    served: Served,
    version: str,
    decision: Decision,
) -> None:
    """Point `challenger` at the version, with its tags under seal: who edits them is found out."""
    registry = mover.registry
    run_id = registry.mlflow.active_run().info.run_id
    tags = challenge.create_tags(run_id) | {VERDICT: decision.verdict}
    tags[f"{PREFIX}served"] = "failed" if served.problem else "passed"
    seal = {SOURCE: registry.find(version).source} | tags
    while True:
        book = mover.ledger.read()
        before = book.get_version(CHALLENGER)
        if before != version or book.find_seal(version) != seal:
            evidence = {"run_id": run_id, SEAL: seal}
            try:
                mover.move(
                    Move(CHALLENGE, CHALLENGER, before, version, "it is judged now", evidence)
                )
            except OvertakenError:
                continue
        registry.set_tags(version, tags | {VERDICT_WORDS: decision.words})
        return


def find_champion(registry: Registry, book: Book, challenger: str) -> Champion | None:
    """Return the champion of the ledger with its evaluation, None if there is none."""
    version = book.get_version(CHAMPION)
    if version is None:
        return None
    if version == challenger:
        return Champion(version, None, is_challenger=True)
    found = find_sealed(registry, book, version)
    return Champion(version, found and registry.read_evidence(found, with_predictions=True))


def find_sealed(registry: Registry, book: Book, version: str) -> Any:
    """Return a version with its tags as they were when it was judged; None if it is not there."""
    found = registry.find(version)
    if found is None:
        return None
    tags = dict(found.tags) | book.find_seal(version)
    return SimpleNamespace(version=str(found.version), run_id=found.run_id, tags=tags)


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

"""What a person decides: approve a version, or go back to an earlier champion."""

from __future__ import annotations

from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import Stopwatch, say
from components.common.tracking.tags import CHALLENGER, CHAMPION, PREFIX
from components.promote.gate.outcomes import NO_RULES, REJECTED
from components.promote.registry.ledger import APPROVE, ROLLBACK
from components.promote.registry.moves import Move, Mover, OvertakenError, check_chain, name_person
from components.promote.registry.registry import Registry
from components.promote.serving.check import starting_server


def approve(
    registry: Registry,
    version: str | None,
    who: str,
    why: str,
    *,
    against_verdict: bool = False,
    accept_breaks: bool = False,
) -> None:
    """Make a version champion.

    Args:
        registry: of the model.
        version: None for the challenger.
        who: the person who answers for it.
        why: the reason.
        against_verdict: also where the gate rejected it.
        accept_breaks: take a broken ledger as it is.

    Raises:
        DarkroomError: if the verdict stands against it, or the served model is not fit.
    """
    _want(who, "--by: say who answers for it")
    _want(why, "--reason: say why")
    mover = Mover(registry, name_person(who))
    found = _find(registry, version or _find_challenger(registry))
    verdict = found.tags.get(f"{PREFIX}verdict", NO_RULES)
    if verdict in (REJECTED, NO_RULES) and not against_verdict:
        words = found.tags.get(f"{PREFIX}verdict_words", "the gate never judged it")
        raise DarkroomError(
            f"version {found.version}: {words}. To approve it all the same, say --against-verdict"
        )
    book = mover.ledger.read()
    evidence: dict[str, Any] = {"verdict": verdict, "run_id": found.run_id}
    if book.breaks and accept_breaks:
        evidence["accepted_breaks"] = book.breaks[:10]
    else:
        check_chain(book)
    _move(mover, APPROVE, found, why, evidence)


def roll_back(registry: Registry, version: str | None, who: str, why: str) -> None:
    """Go back to the champion before the present one, or to a version.

    Raises:
        DarkroomError: if there is none, or the served model is not fit.
    """
    mover = Mover(registry, name_person(who))
    reigns = mover.catch_up().list_reigns(CHAMPION)
    if version is None and len(reigns) < 2:
        raise DarkroomError(
            f"{registry.name}: the ledger knows no champion before this one; name a version to go "
            "back to"
        )
    _move(mover, ROLLBACK, _find(registry, version or reigns[-2]), why, {})


def _move(mover: Mover, action: str, found: Any, why: str, evidence: dict[str, Any]) -> None:
    watch, version = Stopwatch(), str(found.version)
    registry = mover.registry
    sample = registry.read_sample(found)
    with starting_server(registry.mlflow.get_tracking_uri()) as server:
        served = registry.check_served(version, server, sample)
    say(served.words)
    if served.problem:
        raise DarkroomError(f"version {version} does not become champion: {served.words}")
    before = mover.catch_up("accepted_breaks" in evidence).get_version(CHAMPION)
    if before == version:
        say(f"version {version} is champion already: nothing to do")
        return
    evidence = evidence | {"served": served.words}
    reason = " ".join(why.split())
    try:
        entry = mover.move(Move(action, CHAMPION, before, version, reason, evidence))
    except OvertakenError as overtaken:
        raise DarkroomError(
            f"another promotion was faster: version {overtaken.version} is champion now, no longer "
            f"{before}; look at it and decide again"
        ) from None
    say(f"version {version} is champion, in place of {before or 'none'} ({watch})")
    say(f"entry {entry.number} of the ledger, by {entry.who}: {entry.why}")


def _find_challenger(registry: Registry) -> str:
    found = registry.find_alias(CHALLENGER)
    if found is None:
        raise DarkroomError(f"{registry.name} has no challenger; say which version")
    return str(found.version)


def _find(registry: Registry, version: str) -> Any:
    try:
        return registry.client.get_model_version(registry.name, version)
    except registry.mlflow.exceptions.MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise DarkroomError(
            f"{registry.name} has no version {version}; `python -m components.promote history` "
            "lists them"
        ) from None


def _want(text: str, words: str) -> None:
    if not text.strip():
        raise DarkroomError(words)

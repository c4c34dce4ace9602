"""What a person decides: approve a version, or go back to an earlier champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import Stopwatch, say
from components.common.tracking.tags import CHALLENGER, CHAMPION, DATA, VERDICT, VERDICT_WORDS
from components.promote.gate.gate import check_rules, decide, judge_data
from components.promote.gate.outcomes import (
    FAILED,
    NO_RULES,
    REJECTED,
    TOO_FEW,
    Decision,
    describe_outcomes,
)
from components.promote.judging import find_champion, find_sealed, judge_served
from components.promote.registry.account import MOST_NAME, MOST_REASON, name_person, read_words
from components.promote.registry.book import ACCEPTED, APPROVE, ROLLBACK, Book
from components.promote.registry.moves import Move, Mover
from components.promote.registry.registry import Registry
from components.promote.registry.sight import Sight, look
from components.promote.registry.strays import create_command, find_former, is_there
from components.promote.serving.check import Served, starting_server
from components.promote.spec import Rule

MOST_WORDS = 300  # characters of a rule's outcome in an entry, which has to fit


def approve(
    registry: Registry,
    version: str | None,
    who: str,
    why: str,
    *,
    rules: Sequence[Rule] | None = None,
    approvals: int = 1,
    champion: str = "",
    against_verdict: bool = False,
    accept_breaks: bool = False,
) -> None:
    """Make a version champion, after the same checks as the gate's.

    Args:
        registry: of the model.
        version: None for the challenger.
        who: the person who answers for it.
        why: the reason.
        rules: to judge it by now; None: those that it was judged by.
        approvals: how many persons it takes.
        champion: the version that the person knows as champion; empty: the one of this moment.
        against_verdict: also where a rule fails.
        accept_breaks: take a broken ledger as it is.

    Raises:
        DarkroomError: if a rule fails, the served model is not fit, or another became champion
            meanwhile.
    """
    who = read_words(who, "--by", MOST_NAME, "say who answers for it")
    why = read_words(why, "--reason", MOST_REASON, "say why")
    mover = Mover(registry, who)
    sight = look(mover, champion, accept_breaks)
    number = version or _find_challenger(registry, sight.book)
    found = _find(registry, sight.book, number)
    if sight.champion == number and not sight.stray:
        say(f"version {number} is champion already: nothing to do")
        return
    watch, evidence = Stopwatch(), {"run_id": found.run_id}
    served = _ask(registry, found)
    decision = _judge(registry, sight.book, found, served, rules)
    for line in describe_outcomes([asdict(outcome) for outcome in decision.outcomes]):
        say(line)
    if decision.verdict in (REJECTED, NO_RULES) and not against_verdict:
        raise DarkroomError(
            f"version {number}: {decision.words}. To approve it all the same, say --against-verdict"
        )
    evidence |= {"verdict": decision.verdict, "served": served.words}
    if fails := [o.words[:MOST_WORDS] for o in decision.outcomes if o.outcome in (FAILED, TOO_FEW)]:
        evidence["fails"] = fails[:5]
    if taken := sight.book.find_rollback(CHAMPION, number):
        say(f"{taken.who} took it back on {taken.time[:10]} ({taken.why})")
        evidence["taken_back"] = taken.number
    if sight.book.breaks:
        evidence[ACCEPTED] = sight.book.breaks[:10]
    others = sight.list_others(number)
    if len(others) + 1 < approvals:
        sight.agree(number, why, evidence)
        say(
            f"{mover.who} approves version {number}: {len(others) + 1} of {approvals}; it becomes "
            "champion when another person does: "
            f"{create_command(f'approve {number}', registry.name)} --by NAME --reason TEXT"
        )
        return
    if others:
        evidence["approved_with"] = [entry.who for entry in others]
    _move(sight, Move(APPROVE, CHAMPION, sight.champion, number, why, evidence), watch)


def roll_back(
    registry: Registry, version: str | None, who: str, why: str, champion: str = ""
) -> None:
    """Go back to the champion before the present one, or to one from before that.

    Args:
        registry: of the model.
        version: a former champion; None: the last one that is there.
        who: the person; empty: the login name.
        why: the reason.
        champion: the version that the person knows as champion; empty: the one of this moment.

    Raises:
        DarkroomError: if it never was champion or was taken back itself, or is not fit to serve.
    """
    why = read_words(why, "--reason", MOST_REASON, "say why")
    mover = Mover(registry, name_person(who))
    sight = look(mover, champion)
    number = version or find_former(registry, sight.book)
    if number is None:
        raise DarkroomError(
            f"{registry.name}: the ledger knows no champion before this one; make another version "
            f"champion with {create_command('approve VERSION', registry.name)} --by NAME --reason "
            "TEXT"
        )
    found = _find(registry, sight.book, number)
    if sight.champion == number and sight.stray:
        heal = create_command("repair", registry.name)
        raise DarkroomError(f"{sight.stray}: to put it back, {heal}")
    if sight.champion == number:
        say(f"version {number} is champion already: nothing to do")
        return
    _refuse_newcomer(registry, sight, number)
    watch = Stopwatch()
    evidence = {"served": _ask(registry, found).words}
    _move(sight, Move(ROLLBACK, CHAMPION, sight.champion, number, why, evidence), watch)


def _refuse_newcomer(registry: Registry, sight: Sight, version: str) -> None:
    """Refuse to go back to what never was champion, or was taken back: that is no way back."""
    if version in sight.book.list_reigns(CHAMPION):
        return
    if taken := sight.book.find_rollback(CHAMPION, version):
        words = f"{taken.who} took it back on {taken.time[:10]} ({taken.why})"
    else:
        verdict = sight.book.find_seal(version).get(VERDICT, "not judged")
        words = f"it never was champion (verdict: {verdict})"
    former = [
        one
        for one in sight.book.list_reigns(CHAMPION)
        if one != sight.champion and is_there(registry, sight.book, one)
    ]
    raise DarkroomError(
        f"version {version}: {words}, and a rollback goes back to a former champion "
        f"({', '.join(former) or 'there is none'}). To make it champion: "
        f"{create_command(f'approve {version}', registry.name)} --by NAME --reason TEXT"
    )


def _judge(
    registry: Registry, book: Book, found: Any, served: Served, rules: Sequence[Rule] | None
) -> Decision:
    """Judge a version again, as the gate does, on what is kept of it."""
    if DATA not in found.tags:  # registered before the ledger held what it is judged by
        words = found.tags.get(VERDICT_WORDS, "the gate never judged it")
        return Decision(found.tags.get(VERDICT, NO_RULES), words, [])
    evidence = registry.read_evidence(found, with_predictions=True)
    if evidence is None:
        return Decision(NO_RULES, "its evaluation is lost, so no rule can be judged", [])
    if rules is None:
        rules = registry.read_rules(found)
    check_rules(rules, evidence, f"the evaluation of version {found.version}")
    champion = find_champion(registry, book, found.version)
    checks = [judge_data(found.tags[DATA]), judge_served(served)]
    return decide(rules, evidence.with_figures(served.figures), champion, checks)


def _ask(registry: Registry, found: Any) -> Served:
    """Ask the served model; raise DarkroomError if it does not answer as measured."""
    sample = registry.read_sample(found)
    with starting_server(registry.mlflow.get_tracking_uri()) as server:
        served = registry.check_served(found.version, server, sample)
    say(served.words)
    if served.problem:
        raise DarkroomError(f"version {found.version} does not become champion: {served.words}")
    return served


def _move(sight: Sight, move: Move, watch: Stopwatch) -> None:
    entry = sight.move(move)
    say(f"version {move.after} is champion, in place of {move.before or 'none'} ({watch})")
    say(f"entry {entry.number} of the ledger, by {entry.who}: {entry.why}")


def _find_challenger(registry: Registry, book: Book) -> str:
    found = book.get_version(CHALLENGER)
    if found is None:
        raise DarkroomError(f"{registry.name} has no challenger; say which version")
    return found


def _find(registry: Registry, book: Book, version: str) -> Any:
    found = find_sealed(registry, book, version)
    if found is None or not is_there(registry, book, version):
        raise DarkroomError(
            f"{registry.name} has no version {version}; "
            f"`{create_command('history', registry.name)}` lists them"
        )
    return found

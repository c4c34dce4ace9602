"""Heal what was clicked in MLflow's page, and write down who did: `promote repair`."""

from __future__ import annotations

from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.tags import CHALLENGER, CHAMPION, PREFIX
from components.promote.registry.account import MOST_REASON, read_words
from components.promote.registry.book import (
    ACCEPTED,
    ANEW,
    FORKS,
    LEDGER,
    REPAIR,
    SOURCE,
    Book,
    split_head,
)
from components.promote.registry.ledger import HEAD, Ledger, TakenError
from components.promote.registry.moves import Move, Mover, OvertakenError
from components.promote.registry.registry import Registry
from components.promote.registry.strays import (
    create_command,
    describe_breaks,
    find_stray,
    list_edits,
)


def describe_missing(registry: Registry) -> str:
    """Return what became of a registered model that has a ledger but is not there; else empty.

    Also where another model has its name by now.
    """
    if registry.find_named(registry.name) is not None:
        return _describe_taken(registry)
    book = Ledger(registry.mlflow, registry.name).read()
    if not book.run_id:
        return ""
    heal = create_command("repair", registry.name)
    if other := find_other_name(registry, book):
        return (
            f"model {registry.name} was renamed in MLflow: its ledger belongs to {other} now. Give "
            f"it its name back: {heal}; or go on under the new one: set mlflow.registered_model to "
            f"{other}"
        )
    return (
        f"model {registry.name} was deleted in MLflow, with all its versions; its ledger of "
        f"{len(book.entries)} entries is there. To begin anew on the same ledger: {heal} "
        "--by NAME --reason TEXT"
    )


def _describe_taken(registry: Registry) -> str:
    """Return what is wrong where a ledger's tag is on another model than the one of this name."""
    name, ledger = registry.name, Ledger(registry.mlflow, registry.name)
    head = str(registry.find_named(name).tags.get(HEAD, ""))
    run_id = split_head(head)[0] or ledger.read().run_id
    others = find_carriers(registry, run_id) if run_id else []
    if not others or (head and ledger.is_own(run_id)):
        return ""
    if head:
        return (
            f"the tag {HEAD} of model {name} names the ledger of {others[0]}: it was copied in "
            f"MLflow's page. Remove it there, or say which model is meant: --name {others[0]}"
        )
    return (
        f"model {name} was renamed to {others[0]} in MLflow, and another took its name. Rename or "
        f"delete the new one in MLflow's page, then: {create_command('repair', name)}; or go on "
        f"under the new name: set mlflow.registered_model to {others[0]}"
    )


def find_carriers(registry: Registry, run_id: str) -> list[str]:
    """Return the other registered models whose tag names a run as their ledger."""
    found = registry.client.search_registered_models(f"tags.`{HEAD}` LIKE '{run_id}:%'")
    return [str(one.name) for one in found if one.name != registry.name]


def find_other_name(registry: Registry, book: Book) -> str:
    """Return the name of the registered model that a ledger belongs to, empty if there is none.

    It carries the ledger's tag, or where that was removed, a version that the ledger knows.
    """
    names = find_carriers(registry, book.run_id)
    for version in book.list_sealed() if not names else ():
        seal = book.find_seal(version)
        query = f"run_id = '{seal.get(f'{PREFIX}run_id', '')}'"
        same = registry.client.search_model_versions(query)
        names += [str(one.name) for one in same if one.source == seal[SOURCE]]
    return names[0] if names else ""


def repair(mover: Mover, why: str, accept_breaks: bool = False) -> None:
    """Make MLflow agree with the ledger again; what was done is an entry of its own.

    Args:
        mover: of the registered model, which may be missing.
        why: the reason.
        accept_breaks: take a broken chain as it is.

    Raises:
        DarkroomError: if the chain is broken, or only a person can say who is champion now.
    """
    why = read_words(why, "--reason", MOST_REASON, "say why")
    registry, ledger = mover.registry, mover.ledger
    healed = _bring_back(registry, ledger.read())
    book = ledger.read()
    healed += book.wounds
    ledger.restore(book)
    book = ledger.read()
    if book.breaks and not accept_breaks:
        raise DarkroomError(describe_breaks(book, registry.name))
    for version, tags in list_edits(registry, book).items():
        registry.set_tags(version, tags)
        healed.append(f"tags of version {version} were edited: {', '.join(sorted(tags))}")
    evidence: dict[str, Any] = {"healed": [words[:300] for words in healed[:10]]}
    if book.forks:
        evidence[FORKS] = list(book.forks)
    if book.breaks:
        evidence[ACCEPTED] = book.breaks[:10]
        healed += book.breaks
    if healed:
        _write(mover, book, Move(REPAIR, LEDGER, None, "", why, evidence))
    if stray := find_stray(registry, ledger.read(), CHALLENGER):
        mover.put_back(stray)
        healed.append(stray.words)
    healed += _heal_champion(mover, why)
    for words in healed:
        say(f"healed: {words}")
    if not healed:
        say(f"{registry.name}: nothing to heal")


def _bring_back(registry: Registry, book: Book) -> list[str]:
    """Give a model its name back, or make it anew; return what was done."""
    if registry.find_named(registry.name) is not None:
        if taken := _describe_taken(registry):
            raise DarkroomError(taken)
        return []
    if not book.run_id:
        raise DarkroomError(f"MLflow knows no model {registry.name}, and no ledger of one")
    if other := find_other_name(registry, book):
        registry.client.rename_registered_model(other, registry.name)
        return [f"the model was renamed to {other}"]
    registry.create_model()
    return ["the model was deleted with all its versions"]


def _heal_champion(mover: Mover, why: str) -> list[str]:
    """Put the champion back; where it is gone and none was before it, say that there is none."""
    book = mover.ledger.read()
    stray = find_stray(mover.registry, book, CHAMPION)
    if stray is None:
        return []
    if stray.is_gone and stray.former:
        raise DarkroomError(stray.describe(mover.registry.name))
    after, evidence = stray.expected or "", {"found": stray.found or "none"}
    if stray.is_gone:
        after, evidence = "", evidence | {ANEW: "true"}
    try:
        mover.move(Move(REPAIR, CHAMPION, stray.expected, after, why, evidence))
    except OvertakenError:
        raise DarkroomError("others moved the champion at this moment; run again") from None
    return [stray.words]


def _write(mover: Mover, book: Book, move: Move) -> None:
    try:
        mover.write(book, move)
    except TakenError:
        raise DarkroomError("others wrote into the ledger at this moment; run again") from None

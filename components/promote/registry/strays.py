"""What was clicked in MLflow's page and is not as the ledger says: found, and what to do about it.

A message names the command that heals it, whole, so that it can be copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from components.common.errors import DarkroomError
from components.common.tracking.tags import CHALLENGER, CHAMPION
from components.promote.registry.book import SOURCE, Book
from components.promote.registry.registry import Registry


@dataclass(frozen=True)
class Stray:
    """An alias that does not point where the ledger says."""

    alias: str
    expected: str | None  # version, None: at none
    found: str | None  # version, None: the alias is gone
    is_gone: bool = False  # the expected version is not in MLflow any more, or is another model
    former: str | None = None  # the champion before it that is there still

    @property
    def words(self) -> str:
        """What was seen."""
        if self.is_gone:
            return f"{self.alias}, version {self.expected}, was deleted in MLflow"
        if self.found is None:
            return f"{self.alias} was removed by hand from version {self.expected}"
        was = f"the ledger says {self.expected}" if self.expected else "the ledger knows none"
        return f"{self.alias} was moved by hand to version {self.found}; {was}"

    def describe(self, name: str) -> str:
        """Return what was seen and which commands decide."""
        commands = [create_command("repair", name)]
        decide = "--by NAME --reason TEXT"
        if self.is_gone and self.former:
            # Nothing takes its place unseen: who deletes a champion would get around the rules.
            back = f"{create_command('rollback', name)} --reason TEXT (to version {self.former})"
            commands = [back, f"{create_command('approve VERSION', name)} {decide}"]
        elif self.found and self.alias == CHAMPION:
            commands.append(
                f"{create_command(f'approve {self.found}', name)} {decide} to have it so"
            )
        return f"{self.words}. Nothing moves until a person decides: {', or '.join(commands)}"


def create_command(words: str, name: str) -> str:
    """Return a command of promote for a registered model, to be copied."""
    quoted = f"'{name}'" if " " in name else name
    return f"python -m components.promote {words} --name {quoted}"


def find_stray(registry: Registry, book: Book, alias: str) -> Stray | None:
    """Return where an alias is instead of where the ledger says, None if it is there."""
    expected, at = book.get_version(alias), registry.find_alias(alias)
    found = None if at is None else str(at.version)
    is_gone = expected is not None and not is_there(registry, book, expected)
    if found == expected and not is_gone:
        return None
    former = find_former(registry, book) if alias == CHAMPION else None
    return Stray(alias, expected, found, is_gone, former)


def find_former(registry: Registry, book: Book) -> str | None:
    """Return the last champion before the present one that is in MLflow still."""
    reigns = book.list_reigns(CHAMPION)
    if reigns and reigns[-1] == book.get_version(CHAMPION):
        reigns = reigns[:-1]
    return next((one for one in reversed(reigns) if is_there(registry, book, one)), None)


def is_there(registry: Registry, book: Book, version: str) -> bool:
    """Whether a version is in MLflow still, and is the model that the ledger means by it."""
    found = registry.find(version)
    source = book.find_seal(version).get(SOURCE)
    return found is not None and source in (None, found.source)


def list_edits(
    registry: Registry, book: Book, versions: Iterable[Any] | None = None
) -> dict[str, dict[str, str]]:
    """Return the versions whose tags are not as they were when they were judged.

    Args:
        registry: of the model.
        book: its ledger.
        versions: every version of the model, where they were asked for already.

    Returns:
        Version → tags as they should be.
    """
    found = {}
    # All at once: a question for each version takes seconds where there are hundreds.
    every = registry.list_versions() if versions is None else versions
    there = {str(one.version): one for one in every}
    for version in book.list_sealed():
        at = there.get(version)
        seal = book.find_seal(version)
        if at is None or seal.pop(SOURCE) != at.source:
            continue
        if edits := {key: value for key, value in seal.items() if at.tags.get(key, "") != value}:
            found[version] = edits
    return found


def list_findings(
    registry: Registry, book: Book, versions: Iterable[Any] | None = None
) -> Iterator[str]:
    """Yield all that is not as the ledger says, each with the command that heals it.

    Args:
        registry: of the model.
        book: its ledger.
        versions: every version of the model, where they were asked for already.
    """
    name = registry.name
    if book.breaks:
        yield describe_breaks(book, name)
    if book.breaks and not book.entries:  # it cannot say where an alias should be
        if champion := registry.find_alias(CHAMPION):
            yield (
                f"accepted so, version {champion.version} is champion no longer; to keep it: "
                f"{create_command(f'approve {champion.version}', name)} --accept-broken-ledger "
                "--by NAME --reason TEXT"
            )
        return
    for words in book.wounds:
        yield f"{words}: {create_command('repair', name)}"
    for alias in (CHALLENGER, CHAMPION):
        stray, last = find_stray(registry, book, alias), book.find_last(alias)
        if not stray:
            continue
        if last and last.number not in book.done and stray.found == last.before:
            continue  # on its way
        yield stray.describe(name)
    for version, tags in list_edits(registry, book, versions).items():
        yield (
            f"tags of version {version} were edited in MLflow ({', '.join(sorted(tags))}): "
            f"{create_command('repair', name)}"
        )


def describe_breaks(book: Book, name: str) -> str:
    """Return what is lost for good, and what to do about it."""
    return (
        f"the ledger is broken: {'; '.join(book.breaks)}. Somebody changed MLflow's database: "
        "restore it, or let a person accept it as it is: "
        f"{create_command('repair', name)} --accept-broken-ledger --by NAME --reason TEXT"
    )


def check_chain(book: Book, name: str, accept_breaks: bool = False) -> None:
    """Raise DarkroomError if the ledger is broken, or was wounded in MLflow's page."""
    if book.wounds and not (accept_breaks and book.breaks):
        raise DarkroomError(
            f"the ledger: {'; '.join(book.wounds)}. Nothing moves until it is healed: "
            f"{create_command('repair', name)}"
        )
    if book.breaks and not accept_breaks:
        raise DarkroomError(describe_breaks(book, name))

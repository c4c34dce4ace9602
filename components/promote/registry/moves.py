"""Move an alias: on the ledger first, then in the registry. A move found half done is ended."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.tags import CHALLENGER, CHAMPION
from components.promote.registry.ledger import FOUND, Book, Entry, Ledger, TakenError
from components.promote.registry.registry import Registry

WHO = "DARKROOM_WHO"  # says who acts, where the login name does not: in CI, in a container
TRIES = 50  # of one move; each failure means that another got through


class OvertakenError(Exception):
    """The alias has moved since it was looked at; `version` is where it points now."""

    def __init__(self, version: str | None) -> None:
        """Keep the version."""
        super().__init__(version)
        self.version = version


@dataclass(frozen=True)
class Move:
    """A decision to point an alias at another version."""

    action: str  # the ledger's word for it
    alias: str
    before: str | None  # the version that the decision was made against
    after: str
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)  # what the reason rests on


@dataclass(frozen=True)
class Mover:
    """Moves the aliases of one registered model, with a reason."""

    registry: Registry
    who: str

    @property
    def ledger(self) -> Ledger:
        """The ledger of the registered model."""
        return Ledger(self.registry.mlflow, self.registry.name)

    def catch_up(self, accept_breaks: bool = False) -> Book:
        """Make ledger and registry agree: end what broke off, write down what was done by hand.

        Raises:
            DarkroomError: if the chain is broken, and nobody accepts that.
        """
        book = self.ledger.read()
        if not accept_breaks:
            check_chain(book)
        for alias in (CHALLENGER, CHAMPION):
            found = self.registry.find_alias(alias)
            version = None if found is None else str(found.version)
            last = book.find_last(alias)
            expected = book.get_version(alias)
            if version == expected:
                if last and last.number not in book.done:
                    self.ledger.finish(last)
            elif last and last.number not in book.done and version == last.before:
                say(f"{alias} was on its way to version {last.after} when a run broke off: done")
                self._settle(alias)
            else:
                where = f"moved by hand to version {version}" if version else "removed by hand"
                say(f"{alias} was {where}: written into the ledger")
                why = "found so: not moved by Darkroom"
                try:
                    self._append(book, Move(FOUND, alias, expected, version or "", why))
                except TakenError:
                    return self.catch_up(accept_breaks)
                self._settle(alias)
            book = self.ledger.read()
        return book

    def move(self, move: Move) -> Entry:
        """Point an alias at a version, and return what the ledger holds of it.

        Raises:
            OvertakenError: if it points no longer at `before`; nothing is changed then.
        """
        for _ in range(TRIES):
            book = self.ledger.read()
            if book.get_version(move.alias) != move.before:
                raise OvertakenError(book.get_version(move.alias))
            try:
                entry = self._append(book, move)
            except TakenError:
                continue
            self._settle(move.alias)
            return entry
        raise DarkroomError(
            f"{self.registry.name}: {TRIES} others wrote into the ledger at this moment; run again"
        )

    def _append(self, book: Book, move: Move) -> Entry:
        last = book.entries[-1].number if book.entries else 0
        entry = Entry(
            number=last + 1,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            who=self.who,
            previous=book.head,
            token=uuid.uuid4().hex[:12],
            **vars(move),
        )
        self.ledger.append(entry)
        return entry

    def _settle(self, alias: str) -> None:
        """Point an alias where the ledger says, until the ledger says so still afterwards.

        Of several that do this at once, the last to move the alias looks once more.
        """
        while True:
            last = self.ledger.read().find_last(alias)
            if last is None:
                return
            if last.after:
                self.registry.set_alias(alias, last.after)
            self.ledger.finish(last)
            now = self.ledger.read().find_last(alias)
            if now is not None and now.token == last.token:
                return


def name_person(given: str = "") -> str:
    """Return who acts: as given, as DARKROOM_WHO says, or the login name and machine."""
    named = given.strip() or os.environ.get(WHO, "").strip()
    if named:
        return " ".join(named.split())
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        login = f"user {os.getuid()}"
    return f"{login}@{socket.gethostname()}"


def check_chain(book: Book) -> None:
    """Raise DarkroomError if the chain of the ledger is broken."""
    if book.breaks:
        raise DarkroomError(
            f"the ledger is broken: {'; '.join(book.breaks)}. Somebody changed MLflow's database: "
            "restore it, or let a person accept it as it is: python -m components.promote approve "
            "--accept-broken-ledger"
        )

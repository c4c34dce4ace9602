"""Move an alias: on the ledger first, then in the registry. A move found half done is ended."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.addresses import refuse_credentials
from components.common.terminal import say
from components.common.tracking.tags import CHALLENGER, CHAMPION
from components.promote.registry.account import read_account
from components.promote.registry.book import ACCEPTED, FOUND, Book, Entry
from components.promote.registry.ledger import Ledger, TakenError
from components.promote.registry.registry import Registry
from components.promote.registry.strays import Stray, check_chain, find_stray

TRIES = 50  # of one move; each failure means that another got through


class OvertakenError(Exception):
    """The alias has moved since it was looked at; `version` is where it points now."""

    def __init__(self, version: str | None, entry: Entry | None = None) -> None:
        """Keep the version, and the entry that moved it there."""
        super().__init__(version)
        self.version, self.entry = version, entry


@dataclass(frozen=True)
class Move:
    """A decision to point an alias at another version."""

    action: str  # the ledger's word for it
    alias: str
    before: str | None  # the version that the decision was made against
    after: str
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)  # what the reason rests on
    seen: int | None = None  # number of the alias's last entry then, 0: none; None: any


@dataclass(frozen=True)
class Mover:
    """Moves the aliases of one registered model, with a reason."""

    registry: Registry
    who: str

    @property
    def ledger(self) -> Ledger:
        """The ledger of the registered model."""
        return Ledger(self.registry.mlflow, self.registry.name)

    def catch_up(self, accept_breaks: bool = False, keep_strays: bool = False) -> Book:
        """End what broke off, and make sure that the aliases are where the ledger says.

        A challenger that was moved by hand is put back: nobody is served by it. A champion that
        was, or that is gone, is for a person to decide on.

        Args:
            accept_breaks: take a broken chain as it is.
            keep_strays: leave a champion that was moved by hand where it is.

        Raises:
            DarkroomError: if the chain is broken, or the champion is not where it should be.
        """
        book = self.ledger.read()
        check_chain(book, self.registry.name, accept_breaks)
        for alias in (CHALLENGER, CHAMPION):
            last = book.find_last(alias)
            stray = find_stray(self.registry, book, alias)
            if last is None or last.number in book.done:
                if stray is None:
                    continue
                if alias == CHALLENGER:
                    self.put_back(stray)
                elif not keep_strays:
                    raise DarkroomError(stray.describe(self.registry.name))
            elif stray is None:
                self.ledger.finish(last, book.run_id)
            elif stray.found == last.before:
                say(f"{alias} was on its way to version {last.after} when a run broke off: done")
                self._settle(alias)
            elif alias == CHAMPION and not keep_strays:
                raise DarkroomError(stray.describe(self.registry.name))
            else:
                self._settle(alias)
            book = self.ledger.read()
        return book

    def put_back(self, stray: Stray) -> None:
        """Point an alias where the ledger says; where that version is gone, take it away."""
        say(f"{stray.words}: put back")
        if stray.expected and not stray.is_gone:
            self.registry.set_alias(stray.alias, stray.expected)
            return
        self.registry.remove_alias(stray.alias)
        if stray.expected:
            why = f"version {stray.expected} is gone from MLflow"
            with contextlib.suppress(OvertakenError):  # somebody else found it first
                self.move(Move(FOUND, stray.alias, stray.expected, "", why))

    def move(self, move: Move) -> Entry:
        """Point an alias at a version, and return what the ledger holds of it.

        Raises:
            OvertakenError: if it points no longer at `before`, or went elsewhere and came back
                since `seen`; nothing is changed then.
            DarkroomError: if the chain does not hold.
        """
        for _ in range(TRIES):
            book = self.ledger.read()
            check_chain(book, self.registry.name, bool(move.evidence.get(ACCEPTED)))
            last = book.find_last(move.alias)
            if book.get_version(move.alias) != move.before or (
                move.seen is not None and (last.number if last else 0) != move.seen
            ):
                raise OvertakenError(book.get_version(move.alias), last)
            try:
                entry, _ = self._append(book, move)
            except TakenError:
                continue
            self._settle(move.alias)
            return entry
        raise DarkroomError(
            f"{self.registry.name}: {TRIES} others wrote into the ledger at this moment; run again"
        )

    def write(self, book: Book, move: Move) -> Entry:
        """Write what moves no alias, or what is so already; raise TakenError if others wrote."""
        entry, run_id = self._append(book, move)
        self.ledger.finish(entry, run_id)
        return entry

    def _append(self, book: Book, move: Move) -> tuple[Entry, str]:
        refuse_credentials(f"{self.who} {move.why}", "--by or --reason")  # entries stay for good
        last = book.entries[-1].number if book.entries else 0
        parts = {key: value for key, value in vars(move).items() if key != "seen"}
        parts["why"] = " ".join(move.why.split())  # a class may have any name
        evidence = move.evidence | {"account": read_account(self.registry.mlflow)}
        entry = Entry(
            number=last + 1,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            who=self.who,
            previous=book.head,
            token=uuid.uuid4().hex[:12],
            **(parts | {"evidence": evidence}),
        )
        return entry, self.ledger.append(entry, book.run_id)

    def _settle(self, alias: str) -> None:
        """Point an alias where the ledger says, until the ledger says so still afterwards.

        Of several that do this at once, the last to move the alias looks once more.
        """
        while True:
            book = self.ledger.read()
            last = book.find_last(alias)
            if last is None:
                return
            if last.after:
                self.registry.set_alias(alias, last.after)
            else:
                self.registry.remove_alias(alias)
            self.ledger.finish(last, book.run_id)
            now = self.ledger.read().find_last(alias)
            if now is not None and now.token == last.token:
                return

"""What a person sees when a decision begins; it is carried out against that and nothing else."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.tags import CHAMPION
from components.promote.registry.account import fold_name, read_account
from components.promote.registry.book import AGREE, APPROVAL, Book, Entry
from components.promote.registry.ledger import TakenError
from components.promote.registry.moves import Move, Mover, OvertakenError
from components.promote.registry.strays import find_stray


@dataclass(frozen=True)
class Sight:
    """The registry at one moment."""

    mover: Mover
    book: Book
    champion: str | None
    entry: int  # number of the champion's last entry, 0: none
    stray: str  # where the alias is instead, in words; empty: where it should be

    def move(self, move: Move) -> Entry:
        """Carry out a decision, or raise DarkroomError if the champion is another one meanwhile."""
        evidence = move.evidence | ({"found": self.stray} if self.stray else {})
        tied = dataclasses.replace(move, evidence=evidence, seen=self.entry)
        try:
            return self.mover.move(tied)
        except OvertakenError as overtaken:
            last = overtaken.entry
            what = f": {last.action} by {last.who} ({last.why})" if last else ""
            raise DarkroomError(
                f"while this was decided, another was faster{what}; version "
                f"{overtaken.version or 'none'} is champion now, and the decision was made against "
                f"{self.champion or 'none'}. Nothing was changed; look at it and decide again"
            ) from None

    def list_others(self, version: str) -> list[Entry]:
        """Return what other persons have agreed to, one entry a person."""
        user = read_account(self.mover.registry.mlflow).get("mlflow_user")
        found: dict[str, Entry] = {}
        for entry in self.book.list_agreed(version):
            theirs = entry.evidence.get("account", {}).get("mlflow_user")
            is_same = fold_name(entry.who) == fold_name(self.mover.who)
            if not is_same and not (user and user == theirs):
                found.setdefault(theirs or fold_name(entry.who), entry)
        return list(found.values())

    def agree(self, version: str, why: str, evidence: dict[str, Any]) -> None:
        """Write down that one of several persons approves; the alias waits for the others."""
        if len(self.list_others(version)) < len(self.book.list_agreed(version)):
            return  # this one did before
        move = Move(AGREE, APPROVAL, self.champion, version, why, evidence)
        try:
            self.mover.write(self.book, move)
        except TakenError:
            raise DarkroomError("others wrote into the ledger at this moment; run again") from None


def look(mover: Mover, expected: str, accept_breaks: bool = False) -> Sight:
    """Show who is champion, and return what the decision holds against.

    Args:
        mover: of the registered model.
        expected: the version that the person knows as champion, `none` for none; empty: any.
        accept_breaks: take a broken ledger as it is.
    """
    book = mover.catch_up(accept_breaks, keep_strays=True)
    last, version = book.find_last(CHAMPION), book.get_version(CHAMPION)
    stray = find_stray(mover.registry, book, CHAMPION)
    if stray:
        say(stray.words)
    if version and last:
        say(f"champion is version {version}, since {last.time} by {last.who}: {last.why}")
    else:
        say("there is no champion")
    if expected and expected != (version or "none"):
        raise DarkroomError(
            f"--champion {expected}: the champion is version {version or 'none'} now; look at it "
            "and decide again"
        )
    return Sight(mover, book, version, last.number if last else 0, stray.words if stray else "")

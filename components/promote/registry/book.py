"""The ledger as it is read: entries, their chain of digests, and where it does not hold.

Of what is wrong there are two kinds. A *break* is lost for good: an entry that is missing or
changed; only a person can take it as it is. A *wound* was clicked in MLflow's page and loses
nothing: a run that was deleted, a tag that was edited; `repair` heals it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components.common.tracking.tags import CHAMPION

# Actions: the gate moved it; a person did; a person undid it; it was there before the ledger; a
# person put it back, or healed the ledger; one of several persons agrees.
CHALLENGE, PROMOTE, APPROVE, ROLLBACK, FOUND, REPAIR, AGREE = (
    "challenge",
    "promote",
    "approve",
    "rollback",
    "found",
    "repair",
    "agree",
)
NO_HASH = "0" * 64
ENTRY, DONE = "entry-", "done-"
# What an entry is about, where it is no alias: the ledger itself; the approval of a version.
LEDGER, APPROVAL = "ledger", "approval"
# In the evidence of an entry: tag → value of the version, as they were when it was judged.
SEAL = "seal"
SOURCE = "source"  # in a seal: where the version's files are; no tag, and not to be edited
ACCEPTED, FORKS = "accepted_breaks", "accepted_forks"
MOST_MISSING = 1000  # entries in a row that are told; a number in MLflow's answer may be any
ANEW = "begins_anew"  # no version from before is there any more


@dataclass(frozen=True)
class Entry:
    """One change of an alias."""

    number: int  # from 1
    time: str  # ISO 8601, UTC
    action: str
    alias: str
    before: str | None  # version
    after: str  # empty: the alias points at none
    who: str
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)
    previous: str = NO_HASH  # sha256 of the entry before, as it was written
    token: str = ""  # tells two writers of the same change apart

    def to_text(self) -> str:
        """Return the entry as it is written and hashed."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Book:
    """The ledger as it was read."""

    entries: list[Entry]
    head: str  # hash of the last entry
    done: frozenset[int]  # numbers of entries whose alias has moved
    breaks: list[str]  # where the chain does not hold, and nobody has accepted it
    wounds: list[str] = field(default_factory=list)  # what `repair` heals without loss
    run_id: str = ""  # of the run that holds it; empty: there is none yet
    forks: tuple[str, ...] = ()  # ids of runs that hold a second chain, accepted or not

    def find_last(self, alias: str) -> Entry | None:
        """Return the last entry about an alias."""
        return next((entry for entry in reversed(self.entries) if entry.alias == alias), None)

    def get_version(self, alias: str) -> str | None:
        """Return the version that an alias should point at."""
        last = self.find_last(alias)
        return (last.after or None) if last else None

    def find_seal(self, version: str | None) -> dict[str, str]:
        """Return the tags of a version as they were when it was judged last; none: none are."""
        for entry in reversed(self.entries):
            if entry.after == version and entry.evidence.get(SEAL):
                return dict(entry.evidence[SEAL])
        return {}

    def list_sealed(self) -> list[str]:
        """Return the versions with a seal, each once, the first judged first."""
        return list(dict.fromkeys(e.after for e in self.entries if e.evidence.get(SEAL)))

    def list_reigns(self, alias: str) -> list[str]:
        """Return the versions that may be gone back to, the present one last.

        A rollback takes away all that came after the version it goes back to. Where an alias was
        found moved by hand, neither the rules nor a named person made a champion of it; before the
        ledger began, nobody could have written it down.
        """
        reigns: list[str] = []
        for entry in self.entries:
            if entry.alias != alias:
                continue
            if entry.action == ROLLBACK and entry.after in reigns:
                last = len(reigns) - 1 - reigns[::-1].index(entry.after)
                reigns = reigns[: last + 1]
            elif entry.evidence.get(ANEW):
                reigns = []  # its numbers may begin again, and mean other models
            elif entry.action == FOUND and entry.before is not None:
                continue
            elif entry.after and (not reigns or reigns[-1] != entry.after):
                reigns.append(entry.after)
        return reigns

    def find_rollback(self, alias: str, version: str) -> Entry | None:
        """Return the rollback that took an alias off a version, unless it came back later.

        Where the model was deleted and begun anew, its numbers began again: it was another model.
        """
        found = None
        for entry in self.entries:
            if entry.evidence.get(ANEW):
                found = None
            elif entry.alias == alias and entry.action == ROLLBACK and entry.before == version:
                found = entry
            elif entry.alias == alias and entry.after == version:
                found = None
        return found

    def list_agreed(self, version: str) -> list[Entry]:
        """Return the approvals of a version that hold still.

        They were given against the present champion, on the evaluation that it has now.
        """
        since = max((e.number for e in self.entries if _ends_approvals(e, version)), default=0)
        return [
            entry
            for entry in self.entries
            if entry.alias == APPROVAL and entry.after == version and entry.number > since
        ]


def parse_book(params: Mapping[str, str], head: str = "") -> Book:
    """Return the ledger of a run's params, and what is wrong with it.

    Args:
        params: of the run.
        head: the tag of the registered model, `<run>:<number>:<hash>`; empty if there is none.
    """
    texts = {int(key.removeprefix(ENTRY)): value for key, value in params.items() if _is(key)}
    marks = {
        int(key.removeprefix(DONE)): value
        for key, value in params.items()
        if key.startswith(DONE) and key.removeprefix(DONE).isdecimal()
    }
    entries: list[Entry] = []
    breaks: dict[int, str] = {}
    previous = NO_HASH
    for number in _list_numbers(texts):
        text = texts.get(number)
        entry = _read_entry(text)
        if entry is None or entry.number != number:
            breaks[number] = f"entry {number} is {'missing' if text is None else 'not readable'}"
            previous = compute_hash(text or "")
            continue
        if entry.previous != previous:
            breaks[number] = f"entry {number} does not follow entry {number - 1} as it is now"
        previous = compute_hash(text or "")
        if len(marks.get(number, "")) == len(NO_HASH) and marks[number] != previous:
            breaks.setdefault(number, f"entry {number} is not the one that was written")
        entries.append(entry)
    for number in marks.keys() - texts.keys():  # a mark comes after its entry
        breaks.setdefault(number, f"entry {number} is not the one that was written")
    wound = _check_head(head, texts, marks, breaks)
    accepted = max((e.number for e in entries if e.evidence.get(ACCEPTED)), default=0)
    left = [breaks[number] for number in sorted(breaks) if number > accepted]
    return Book(entries, previous, frozenset(marks), left, [wound] if wound else [])


def compute_hash(text: str) -> str:
    """Return the sha256 of a text, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def split_head(head: str) -> tuple[str, int, str]:
    """Return run, number and hash of the model's tag; the number is 0 where it is none of ours."""
    run_id, _, rest = head.partition(":")
    number, _, expected = rest.partition(":")
    return run_id, int(number) if number.isdecimal() else 0, expected


def _check_head(
    head: str, texts: Mapping[int, str], marks: Mapping[int, str], breaks: dict[int, str]
) -> str:
    """Compare the model's tag with the entries: add a break, or return a wound."""
    if not head:
        return "the model's tag darkroom.ledger was removed" if len(marks) > 1 else ""
    _, number, expected = split_head(head)
    edited = f"the model's tag darkroom.ledger was edited (it says {head[:40]})"
    if not number:
        return edited
    text = texts.get(number)
    if text is not None and compute_hash(text) == expected:
        return ""
    if text is not None and marks.get(number) == compute_hash(text):
        return edited  # the entry is as it was written, so the tag is not
    breaks.setdefault(number, f"entry {number} is not the one that was written")
    return ""


def _ends_approvals(entry: Entry, version: str) -> bool:
    is_judged_anew = entry.after == version and bool(entry.evidence.get(SEAL))
    return entry.alias == CHAMPION or is_judged_anew


def _list_numbers(texts: Mapping[int, str]) -> list[int]:
    """Return the numbers that entries should have; of a gap that no person made its end alone."""
    numbers: list[int] = []
    for number in sorted(texts):
        first = numbers[-1] + 1 if numbers else 1
        numbers += range(max(first, number - MOST_MISSING), number + 1)
    return numbers


def _read_entry(text: str | None) -> Entry | None:
    """Return an entry; None if there is none, or somebody wrote something else in its place."""
    try:
        entry = Entry(**json.loads(text)) if text is not None else None
    except (ValueError, TypeError, RecursionError):
        return None
    if entry is None or type(entry.number) is not int or not isinstance(entry.evidence, dict):
        return None
    told = (entry.time, entry.action, entry.alias, entry.after, entry.who, entry.why)
    texts = (*told, entry.before or "", entry.previous, entry.token)
    return entry if all(isinstance(one, str) for one in texts) else None


def _is(key: str) -> bool:
    return key.startswith(ENTRY) and key.removeprefix(ENTRY).isdecimal()

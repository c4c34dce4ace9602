"""The ledger: every change of an alias, append-only, kept with the registry.

It is one MLflow run of the experiment `<model> ledger`; its params are the entries. A param can be
written once and never changed, so of two writers of one entry one wins and the other is told, and
the ledger outlives local files. Each entry holds the sha256 of the one before it; a tag of the
registered model names the last one. So what was changed or cut off in the database is seen.

An entry is written before its alias moves, its mark `done-…` after. A crash in between leaves the
old version serving, and whoever comes next finishes the move.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components.common.errors import DarkroomError

# Actions: the gate moved it; a person did; a person undid it; it was found moved by hand.
CHALLENGE, PROMOTE, APPROVE, ROLLBACK, FOUND = (
    "challenge",
    "promote",
    "approve",
    "rollback",
    "found",
)
NO_HASH = "0" * 64
HEAD = "darkroom.ledger"  # tag of the registered model: run, number and hash of the last entry
MAX_CHARACTERS = 6000  # MLflow cuts longer params off, in silence
ENTRY, DONE = "entry-", "done-"


@dataclass(frozen=True)
class Entry:
    """One change of an alias."""

    number: int  # from 1
    time: str  # ISO 8601, UTC
    action: str
    alias: str
    before: str | None  # version
    after: str  # empty: the alias was found removed
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

    def find_last(self, alias: str) -> Entry | None:
        """Return the last entry about an alias."""
        return next((entry for entry in reversed(self.entries) if entry.alias == alias), None)

    def get_version(self, alias: str) -> str | None:
        """Return the version that an alias should point at."""
        last = self.find_last(alias)
        return (last.after or None) if last else None

    def list_reigns(self, alias: str) -> list[str]:
        """Return the versions that may be gone back to, the present one last.

        A rollback takes away all that came after the version it goes back to.
        """
        reigns: list[str] = []
        for entry in self.entries:
            if entry.alias != alias:
                continue
            if entry.action == ROLLBACK and entry.after in reigns:
                last = len(reigns) - 1 - reigns[::-1].index(entry.after)
                reigns = reigns[: last + 1]
            elif entry.after and (not reigns or reigns[-1] != entry.after):
                reigns.append(entry.after)
        return reigns

    def find_rollback(self, alias: str, version: str) -> Entry | None:
        """Return the rollback that took an alias off a version, unless it came back later."""
        found = None
        for entry in self.entries:
            if entry.alias == alias and entry.action == ROLLBACK and entry.before == version:
                found = entry
            elif entry.alias == alias and entry.after == version:
                found = None
        return found


class TakenError(Exception):
    """Somebody else wrote this entry first."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one registered model."""

    mlflow: Any
    name: str

    def read(self) -> Book:
        """Read and check the whole ledger."""
        head = self._client.get_registered_model(self.name).tags.get(HEAD, "")
        run_id = head.split(":")[0] or self._find_run()
        if not run_id:
            return Book([], NO_HASH, frozenset(), [])
        try:
            params = self._client.get_run(run_id).data.params
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            params = {}
        return parse_book(params, head)

    def append(self, entry: Entry) -> None:
        """Write an entry; raise TakenError if there is one of its number."""
        text = entry.to_text()
        if len(text) > MAX_CHARACTERS:
            raise DarkroomError(
                f"an entry of the ledger has {len(text):,} characters, {MAX_CHARACTERS:,} fit; say "
                "it with fewer words"
            )
        run_id = self._find_run() or self._create_run()
        try:
            self._client.log_param(run_id, f"{ENTRY}{entry.number:06d}", text)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise TakenError from None

    def finish(self, entry: Entry) -> None:
        """Mark that the alias of an entry has moved, and name it as the last one."""
        run_id = self._find_run()
        self._client.log_param(run_id, f"{DONE}{entry.number:06d}", "done")
        head = f"{run_id}:{entry.number}:{compute_hash(entry.to_text())}"
        self._client.set_registered_model_tag(self.name, HEAD, head)

    @property
    def _client(self) -> Any:
        return self.mlflow.MlflowClient()

    @property
    def _experiment(self) -> str:
        return f"{self.name} ledger"

    def _find_run(self) -> str:
        """Return the id of the run that holds the ledger, empty if there is none yet."""
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            return ""
        if found.lifecycle_stage == "deleted":
            raise DarkroomError(
                f"the ledger of {self.name} was deleted; bring it back with `mlflow experiments "
                f"restore -x {found.experiment_id}`"
            )
        runs = self._client.search_runs([found.experiment_id], order_by=["start_time ASC"])
        return str(runs[0].info.run_id) if runs else ""

    def _create_run(self) -> str:
        """Open the ledger; only one process can create the experiment, the others wait for it."""
        try:
            experiment_id = self._client.create_experiment(self._experiment)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            for _ in range(20):
                if run_id := self._find_run():
                    return run_id
                time.sleep(0.25)
            # Its creator broke down in between.
            experiment_id = self._client.get_experiment_by_name(self._experiment).experiment_id
        run = self._client.create_run(experiment_id, run_name=f"ledger of {self.name}")
        self._client.set_terminated(run.info.run_id)
        return self._find_run()


def parse_book(params: Mapping[str, str], head: str = "") -> Book:
    """Return the ledger of a run's params, and what is wrong with it.

    Args:
        params: of the run.
        head: the tag of the registered model, `<run>:<number>:<hash>`; empty if there is none.
    """
    texts = {int(key.removeprefix(ENTRY)): value for key, value in params.items() if _is(key)}
    entries: list[Entry] = []
    breaks: dict[int, str] = {}
    previous = NO_HASH
    for number in range(1, max(texts, default=0) + 1):
        text = texts.get(number)
        try:
            entry = Entry(**json.loads(text)) if text is not None else None
        except (ValueError, TypeError):
            entry = None
        if entry is None or entry.number != number:
            breaks[number] = f"entry {number} is {'missing' if text is None else 'not readable'}"
            previous = compute_hash(text or "")
            continue
        if entry.previous != previous:
            breaks[number] = f"entry {number} does not follow entry {number - 1} as it is now"
        previous = compute_hash(text or "")
        entries.append(entry)
    _, _, rest = head.partition(":")
    number_text, _, expected = rest.partition(":")
    if number_text:
        last = int(number_text)
        if compute_hash(texts.get(last, "")) != expected:
            breaks[last] = f"entry {last} is not the one that was written"
    accepted = max((e.number for e in entries if e.evidence.get("accepted_breaks")), default=0)
    done = frozenset(int(key.removeprefix(DONE)) for key in params if key.startswith(DONE))
    left = [breaks[number] for number in sorted(breaks) if number > accepted]
    return Book(entries, previous, done, left)


def compute_hash(text: str) -> str:
    """Return the sha256 of a text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _is(key: str) -> bool:
    return key.startswith(ENTRY) and key.removeprefix(ENTRY).isdigit()

"""The ledger: every change of an alias, append-only, kept with the registry.

It is one MLflow run of the experiment `<model> ledger`; its params are the entries. A param can be
written once and never changed, so of two writers of one entry one wins and the other is told, and
the ledger outlives local files. Each entry holds the sha256 of the one before; a tag of the
registered model names the last one. So what was changed or cut off in the database is seen.

An entry is written before its alias moves, its mark `done-…` after. A crash in between leaves the
old version serving, and whoever comes next finishes the move.

A run and an experiment that were deleted in MLflow's page are there still, and are found: a second
ledger is begun only where nothing says that there was a first.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from components.common.errors import DarkroomError
from components.common.tracking.tags import PREFIX
from components.promote.registry.book import (
    DONE,
    ENTRY,
    FORKS,
    NO_HASH,
    Book,
    Entry,
    compute_hash,
    parse_book,
    split_head,
)

HEAD = "darkroom.ledger"  # tag of the registered model: run, number and hash of the last entry
MAX_CHARACTERS = 6000  # MLflow cuts longer params off, in silence
DELETED = "deleted"  # as MLflow says it


class TakenError(Exception):
    """Somebody else wrote this entry first."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one registered model."""

    mlflow: Any
    name: str

    @property
    def experiment(self) -> str:
        """Name of the experiment that holds it."""
        return f"{self.name} ledger"

    def read(self) -> Book:
        """Read and check the whole ledger, also of a model that is not there any more."""
        head = self._read_head()
        named_id = split_head(head)[0]
        runs = [run for run in self._list_runs() if _has_entries(run)]
        if not runs:  # the model or the experiment has another name now
            elsewhere = [self._get_run(named_id) or self._find_run()]
            runs = [run for run in elsewhere if run is not None and _has_entries(run)]
        if not runs:
            return self._describe_loss(head)
        own = next((run for run in runs if run.info.run_id == named_id), runs[0])
        is_named = own.info.run_id == named_id
        found = parse_book(own.data.params, head if is_named else "")
        wounds = found.wounds
        if head and not is_named:
            wounds = [f"the model's tag darkroom.ledger was edited (it says {head[:40]})"]
        forks = tuple(sorted(run.info.run_id for run in runs if run is not own))
        known = {run_id for e in found.entries for run_id in e.evidence.get(FORKS, [])}
        wounds = [*wounds, *self._describe_place(own)]
        if new := [run_id for run_id in forks if run_id not in known]:
            wounds.append(
                f"there are {len(runs)} ledgers; run {own.info.run_id} goes on, run "
                f"{', '.join(new)} was begun beside it"
            )
        return dataclasses.replace(found, wounds=wounds, run_id=own.info.run_id, forks=forks)

    def is_own(self, run_id: str) -> bool:
        """Whether a run is in the experiment of this ledger, or bears its name."""
        run = self._get_run(run_id)
        if run is None:
            return True  # gone for good: that is told elsewhere
        place = self._client.get_experiment(run.info.experiment_id)
        names = place.name, run.info.run_name
        return self.experiment in names or f"ledger of {self.name}" in names

    def append(self, entry: Entry, run_id: str) -> str:
        """Write an entry, and return the run that holds it now.

        Args:
            entry: follows the last one of the book that was read.
            run_id: of that book; empty: the ledger is begun.

        Raises:
            TakenError: if there is one of its number.
            DarkroomError: if it is too long, or the run was deleted a moment ago.
        """
        text = entry.to_text()
        if len(text) > MAX_CHARACTERS:
            raise DarkroomError(
                f"an entry of the ledger has {len(text):,} characters, {MAX_CHARACTERS:,} fit; say "
                "it with fewer words"
            )
        run_id, key = run_id or self._create_run(), f"{ENTRY}{entry.number:06d}"
        try:
            self._client.log_param(run_id, key, text)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            if key in self._client.get_run(run_id).data.params:
                raise TakenError from None
            raise DarkroomError(
                f"the ledger of {self.name} was deleted at this moment: python -m "
                f"components.promote repair --name '{self.name}'"
            ) from None
        return run_id

    def finish(self, entry: Entry, run_id: str) -> None:
        """Mark that the alias of an entry has moved, and name it as the last one.

        Both hold its hash, so of the tag, which can be edited, one knows whether it was.
        """
        text = self._client.get_run(run_id).data.params[f"{ENTRY}{entry.number:06d}"]
        try:
            self._client.log_param(run_id, f"{DONE}{entry.number:06d}", compute_hash(text))
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise  # else an earlier Darkroom marked it, in its own words
        head = f"{run_id}:{entry.number}:{compute_hash(text)}"
        self._client.set_registered_model_tag(self.name, HEAD, head)

    def restore(self, book: Book) -> None:
        """Bring back the run and the experiment of the ledger, under its name."""
        if not book.run_id:
            return
        run = self._client.get_run(book.run_id)
        experiment = self._client.get_experiment(run.info.experiment_id)
        if experiment.lifecycle_stage == DELETED:
            self._client.restore_experiment(experiment.experiment_id)
        if self._client.get_run(book.run_id).info.lifecycle_stage == DELETED:
            self._client.restore_run(book.run_id)
        if self._is_renamed(experiment):
            self._client.rename_experiment(experiment.experiment_id, self.experiment)

    @property
    def _client(self) -> Any:
        return self.mlflow.MlflowClient()

    def _read_head(self) -> str:
        try:
            return str(self._client.get_registered_model(self.name).tags.get(HEAD, ""))
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return ""

    def _get_run(self, run_id: str) -> Any:
        try:
            return self._client.get_run(run_id) if run_id else None
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None

    def _find_run(self) -> Any:
        """Return the run by its own name, wherever it is now; None if there is none."""
        every = self.mlflow.entities.ViewType.ALL
        places = [one.experiment_id for one in self._client.search_experiments(view_type=every)]
        name = f"attributes.run_name = 'ledger of {self.name}'"
        found = self._client.search_runs(places, name, run_view_type=every) if places else []
        return next((run for run in found if _has_entries(run)), None)

    def _list_runs(self) -> list[Any]:
        """Return the runs of the ledger's experiment, the oldest first, deleted ones too."""
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            return []
        every = self.mlflow.entities.ViewType.ALL
        order = ["start_time ASC"]
        return list(
            self._client.search_runs([found.experiment_id], run_view_type=every, order_by=order)
        )

    def _describe_loss(self, head: str) -> Book:
        """Return an empty ledger; it is broken where something says that there was one."""
        lost = []
        if head:
            lost = [f"its run {split_head(head)[0]} is gone for good, as after `mlflow gc`"]
        elif judged := self._find_judged():
            lost = [f"version {judged} was judged, and nothing of the ledger is left"]
        return Book([], NO_HASH, frozenset(), lost)

    def _find_judged(self) -> str:
        found = self._client.search_model_versions(
            f"name = '{self.name}' and tags.`{PREFIX}verdict` LIKE '%'", max_results=1
        )
        return str(found[0].version) if found else ""

    def _describe_place(self, run: Any) -> list[str]:
        """Return what was clicked on the run and on its experiment."""
        experiment = self._client.get_experiment(run.info.experiment_id)
        if experiment.lifecycle_stage == DELETED:
            return [f"its experiment {experiment.name} was deleted in MLflow"]
        wounds = []
        if run.info.lifecycle_stage == DELETED:
            wounds.append(f"its run {run.info.run_id} was deleted in MLflow")
        if self._is_renamed(experiment):
            wounds.append(
                f"its experiment is called {experiment.name}, not {self.experiment}: the model or "
                "the experiment was renamed"
            )
        return wounds

    def _is_renamed(self, experiment: Any) -> bool:
        """Whether the experiment lost its name, and no other has it."""
        return (
            experiment.name != self.experiment
            and self._client.get_experiment_by_name(self.experiment) is None
        )

    def _create_run(self) -> str:
        """Open the ledger; only one process can create the experiment, the others wait for it."""
        try:
            experiment_id = self._client.create_experiment(self.experiment)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = self._client.get_experiment_by_name(self.experiment)
            experiment_id = found.experiment_id
            if found.lifecycle_stage == DELETED:
                self._client.restore_experiment(experiment_id)
            for _ in range(20):
                if runs := self._list_runs():
                    return str(runs[0].info.run_id)
                time.sleep(0.25)  # else its creator broke down in between
        run = self._client.create_run(experiment_id, run_name=f"ledger of {self.name}")
        self._client.set_terminated(run.info.run_id)
        return str(self._list_runs()[0].info.run_id)


def _has_entries(run: Any) -> bool:
    return any(key.startswith(ENTRY) for key in run.data.params)

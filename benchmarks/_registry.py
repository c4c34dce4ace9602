"""A registry under random hands, and an oracle that keeps account of who may be champion.

MLflow, the ledger, the gate and the commands are the real ones; only the models are empty, and the
served model, which is asked elsewhere, always answers. The oracle reads MLflow's database itself,
applies the rules itself, and knows which commands of a named person it gave.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._registry_stage import FIT, PowerCutError, cutting
from components.common.artifacts.model import ModelCard
from components.common.artifacts.sample import Sample
from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm
from components.common.serving.decisions import Decisions
from components.common.tracking.server import import_mlflow
from components.promote import people
from components.promote.challenge import Challenge
from components.promote.gate.evidence import Evidence
from components.promote.judging import judge_and_move
from components.promote.registry.ledger import HEAD, Ledger
from components.promote.registry.moves import Mover
from components.promote.registry.registry import Registry
from components.promote.registry.repair import describe_missing, repair
from components.promote.registry.strays import list_findings
from components.promote.spec import Params, Rule

FLOOR = 0.6
RULES = [Rule("accuracy", at_least=FLOOR), Rule("accuracy", champion_margin=0)]
PERSON, WHY = "Ada", "she looked at it"
CARD = ModelCard(["a", "b"], ImageForm(8, "crop", "#ffffff"), "none", "none", 1.0, "probe")
GONE = "Deleted_Internal"  # what MLflow makes of a version that is deleted


class WrongError(AssertionError):
    """The registry shows what it must not."""


class World:
    """One registered model, and what the oracle knows of it."""

    def __init__(self, folder: Path, name: str, seed: int) -> None:
        """Begin without a model.

        Args:
            folder: holds mlflow.db, which MLflow is set on.
            name: of the model, not used before.
            seed: of all chances.
        """
        self.mlflow, self.name, self.folder = import_mlflow(), name, folder
        self.random = np.random.default_rng(seed)
        self.registry = Registry(self.mlflow, name)
        self.models: dict[str, float] = {}  # source → accuracy
        self.reigns: list[str] = []  # sources that were champion and not taken back; the last is
        self.has_champion = False
        self.orders: list[tuple[str, str, bool]] = []  # asked: action, source or version, forced
        self.surprises: list[str] = []  # errors that are no words for a person
        self.texts: list[str] = []  # entries of the ledger, as they were

    # What Darkroom does

    def promote(self, accuracy: float = 0.0) -> None:
        """A pipeline has trained a model, of some accuracy."""
        self._refuse_missing()
        self.registry.create_model()
        mover = Mover(self.registry, "pipeline")
        mover.catch_up()
        accuracy = accuracy or float(self.random.choice([0.5, 0.7, 0.8, 0.9]))
        source = str(self.folder / f"{self.name}-{len(self.models)}")
        self.models[source] = accuracy
        metrics = {"accuracy": accuracy, "test_digest": "t"}
        evidence = Evidence({"accuracy": accuracy}, "t")
        challenge = Challenge(CARD, source, evidence, Sample(), "passed", {}, Decisions())
        experiment = self.mlflow.set_experiment("trainings")
        self.orders.append(("promote", source, False))
        with self.mlflow.start_run(experiment_id=experiment.experiment_id, nested=True) as run:
            run_id, client = run.info.run_id, self.registry.client
            client.log_text(run_id, json.dumps(metrics), "evaluation/metrics.json")
            tags = challenge.create_tags(run_id)
            made = client.create_model_version(self.name, source, run_id, tags=tags)
            mover.catch_up()
            judge_and_move(mover, challenge, FIT, str(made.version), Params(rules=RULES))

    def approve(self, forced: bool = False) -> None:
        """A person approves some version."""
        self._refuse_missing()
        version = self.pick()
        self.orders.append(("approve", version, forced))  # another may be making it just now
        people.approve(self.registry, version, PERSON, WHY, rules=RULES, against_verdict=forced)

    def roll_back(self, named: bool = False) -> None:
        """A person goes back."""
        self._refuse_missing()
        version = self.pick() if named else None
        self.orders.append(("rollback", "", False))
        people.roll_back(self.registry, version, PERSON, WHY)

    def repair(self) -> None:
        """A person repairs; where the chain is broken, it is taken as it is."""
        self.orders.append(("repair", "", False))
        repair(Mover(self.registry, PERSON), WHY, accept_breaks=True)

    def _refuse_missing(self) -> None:
        """Stop where the model is not there, as the stage and the commands do."""
        if missing := describe_missing(self.registry):
            raise DarkroomError(missing)

    def crash(self) -> None:
        """The power goes in the middle of one of these."""
        act = self.random.choice(
            [self.promote, self.promote, self.approve, self.roll_back, self.repair]
        )
        left = int(self.random.integers(1, 14))
        with cutting(self.mlflow, left), contextlib.suppress(PowerCutError):
            act()

    def race(self) -> None:
        """Two of these at once."""
        acts = self.random.choice([self.promote, self.approve, self.roll_back, self.repair], 2)
        threads = [threading.Thread(target=self._act_quietly, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _act_quietly(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DarkroomError:
            pass  # it is told
        except Exception as error:  # what a thread raises is lost
            self.surprises.append(f"{type(error).__name__}: {error}")

    # What one clicks in MLflow's page

    def click(self, what: str) -> None:
        """Do one thing there; what is not there cannot be clicked."""
        client, run_id = self.registry.client, self.find_ledger_run()
        place = client.get_run(run_id).info.experiment_id if run_id else ""
        version, champion = self.pick(), self.find_alias("champion")
        tag = str(self.random.choice(["verdict", "model_digest", "evaluation_run", "data"]))
        acts: dict[str, Callable[[], object]] = {
            "delete the ledger's run": lambda: client.delete_run(run_id),
            "restore it": lambda: client.restore_run(run_id),
            "delete its experiment": lambda: client.delete_experiment(place),
            "restore the experiment": lambda: client.restore_experiment(place),
            "rename its experiment": lambda: client.rename_experiment(place, f"old {self.name}"),
            "edit the ledger's tag": lambda: client.set_registered_model_tag(self.name, HEAD, "x"),
            "remove the ledger's tag": lambda: client.delete_registered_model_tag(self.name, HEAD),
            "edit a version's tag": lambda: client.set_model_version_tag(
                self.name, version, f"darkroom.{tag}", "passed"
            ),
            "delete a version": lambda: client.delete_model_version(self.name, version),
            "delete the champion": lambda: client.delete_model_version(self.name, champion),
            "move champion": lambda: client.set_registered_model_alias(
                self.name, "champion", version
            ),
            "remove champion": lambda: client.delete_registered_model_alias(self.name, "champion"),
            "move challenger": lambda: client.set_registered_model_alias(
                self.name, "challenger", version
            ),
            "rename the model": lambda: client.rename_registered_model(
                self.name, f"{self.name} renamed"
            ),
            "delete the model": lambda: client.delete_registered_model(self.name),
        }
        with contextlib.suppress(self.mlflow.exceptions.MlflowException):
            acts[what]()

    # What the oracle sees

    def check(self) -> bool:
        """Compare MLflow with the account; return whether another is champion, and that is told.

        Raises:
            WrongError: where it shows what it must not, or does not tell.
        """
        self._account()
        if self.surprises:
            raise WrongError(f"a traceback: {self.surprises}")
        shown = self.find_source(self.find_alias("champion"))
        if shown == self.champion or self._is_on_its_way():
            return False
        if not self.tell():
            raise WrongError(f"{shown} is champion, {self.champion} ought to be: not told")
        return True

    @property
    def champion(self) -> str:
        """The source that may be champion, empty: none may."""
        return self.reigns[-1] if self.has_champion else ""

    def tell(self) -> list[str]:
        """Return what `history` finds."""
        if missing := describe_missing(self.registry):
            return [missing]
        if self.registry.find_named(self.name) is None:
            return []
        return list(list_findings(self.registry, Ledger(self.mlflow, self.name).read()))

    def _account(self) -> None:
        """Take each new entry about the champion to account."""
        chains = self.ask(
            "SELECT p.run_uuid, p.value FROM params p JOIN tags t ON t.run_uuid = p.run_uuid "
            "WHERE t.key = 'mlflow.runName' AND t.value = ? AND p.key LIKE 'entry-%' "
            "ORDER BY p.key",
            f"ledger of {self.name}",
        )
        if len({run_id for run_id, _ in chains}) > 1:
            raise WrongError("there are two ledgers")
        texts = [text for _, text in chains]
        if texts[: len(self.texts)] != self.texts:
            raise WrongError("the ledger is not append-only")
        for entry in map(json.loads, texts[len(self.texts) :]):
            if entry["alias"] == "champion":
                self._judge(entry)
        self.texts, self.orders = texts, []

    def _judge(self, entry: dict[str, Any]) -> None:
        source = self.find_source(entry["after"]) or self.find_source(entry["after"], gone=True)
        order = [o for o in self.orders if o[0] == entry["action"]]
        if entry["action"] == "repair":
            if not entry["after"]:
                self.has_champion = False
                self.reigns = []
            elif source != self.champion:
                raise WrongError(f"a repair made {source} champion")
        elif entry["action"] == "rollback":
            former = self.reigns[:-1] if self.has_champion else self.reigns
            if not order or source not in former:
                raise WrongError(f"a rollback made {source} champion")
            self.reigns = self.reigns[: len(former) - former[::-1].index(source)]
            self.has_champion = True
        elif entry["action"] in ("promote", "approve"):
            asked = [o for o in order if o[1] in (source, entry["after"])]
            if not asked or not (any(o[2] for o in asked) or self._may_win(source)):
                raise WrongError(f"{entry['action']} made {source} champion")
            if not self.has_champion or self.reigns[-1] != source:
                self.reigns.append(source)
            self.has_champion = True
        else:
            raise WrongError(f"{entry['action']} made {source} champion")

    def _may_win(self, source: str) -> bool:
        """Whether the rules hold; a person may decide where the champion cannot be compared."""
        ours, theirs = self.models[source], self.models.get(self.champion, 0.0)
        is_gone = self.has_champion and not self._is_there(self.champion)
        return ours >= FLOOR and (is_gone or ours >= theirs)

    def _is_there(self, source: str) -> bool:
        query = "SELECT 1 FROM model_versions WHERE source = ? AND current_stage != ?"
        return bool(self.ask(query, source, GONE))

    def _is_on_its_way(self) -> bool:
        """Whether the last entry about the champion has no mark yet, after a crash."""
        about = [entry for entry in map(json.loads, self.texts) if entry["alias"] == "champion"]
        if not about:
            return False
        key = f"done-{about[-1]['number']:06d}"
        return not self.ask(
            "SELECT 1 FROM params p JOIN tags t ON t.run_uuid = p.run_uuid WHERE t.key = "
            "'mlflow.runName' AND t.value = ? AND p.key = ?",
            f"ledger of {self.name}",
            key,
        )

    def find_alias(self, alias: str) -> str:
        """Return the version that an alias points at, empty: none."""
        found = self.ask(
            "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?",
            self.name,
            alias,
        )
        return str(found[0][0]) if found else ""

    def find_source(self, version: str, gone: bool = False) -> str:
        """Return the source of a version that is there, empty if it is not."""
        found = self.ask(
            "SELECT source, current_stage FROM model_versions WHERE name IN (?, ?) AND version = ?",
            self.name,
            f"{self.name} renamed",
            version or 0,
        )
        is_there = found and (gone or found[0][1] != GONE)
        return str(found[0][0]) if is_there else ""

    def find_ledger_run(self) -> str:
        """Return the run of the ledger, whatever became of it; empty: there is none."""
        found = self.ask(
            "SELECT run_uuid FROM tags WHERE key = 'mlflow.runName' AND value = ?",
            f"ledger of {self.name}",
        )
        return str(found[0][0]) if found else ""

    def pick(self) -> str:
        """Return some version that is there; 1 if there is none."""
        found = self.ask(
            "SELECT version FROM model_versions WHERE name = ? AND current_stage != ?",
            self.name,
            GONE,
        )
        return str(self.random.choice([row[0] for row in found])) if found else "1"

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of MLflow's database."""
        with contextlib.closing(sqlite3.connect(self.folder / "mlflow.db", timeout=30)) as found:
            return found.execute(query, values).fetchall()

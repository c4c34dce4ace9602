"""What a person types beside the rooms: each as it is typed, what it reads, and what it writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from tests.faults.champion import ALIAS, MODEL

PHOTOS = "photos"
NETWORK = "vit"  # of some thousand numbers: what is tried is not how well it sees
SETTINGS = "params.yaml"
# What a batch writes, one after the other; each is whole or not there.
BATCH = ["answers/listing.parquet", "answers/answers/part-000000.parquet", "answers/summary.json"]
OUTLINE = ["--folder", "outline", "--facts", "outline.json"]
SPACE = "train.finetune.dropout: { low: 0.1, high: 0.4 }\n"


@dataclass(frozen=True)
class Stage:
    """One room as dvc.yaml starts it, or a command as a person does."""

    name: str
    words: list[str]  # behind `python -m components.`, or all behind `-m`: pipelines
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)  # none: it moves the champion, or nothing


def create_command(name: str) -> Stage:
    """Return a command of a person's; its output is a digest's, or the champion."""
    model = ["--model", "models:/darkroom@champion"]
    who = ["--by", "Ann", "--reason", "seen on the bench"]
    listed = ["--output", "suggestions.csv", "--page", "suggestions.html"]
    search = ["train.search", "run", "--trials", "2"]
    photos, settings = [PHOTOS], [SETTINGS]
    words, reads, writes = {
        "approve": (["promote", "approve", "2", *who], [], []),
        "history": (["promote", "history"], [], []),
        "rollback": (["promote", "rollback", "1", *who], [], []),
        "repair": (["promote", "repair", *who], [], []),
        "predict": (["predict", PHOTOS, *model, "--output", "a.csv"], photos, ["a.csv"]),
        "batch": (["predict", "batch", PHOTOS, *model, "--output", "answers"], photos, BATCH),
        "suggest": (["predict", "suggest", PHOTOS, *model, *listed], photos, ["suggestions.csv"]),
        "watch": (["predict", "watch", PHOTOS, *model, "--output", "w.json"], photos, ["w.json"]),
        "outline": (["ingest", "outline", "digits", *OUTLINE], [], ["outline", "outline.json"]),
        "look": (["validate", "look", PHOTOS, "--json", "look.json"], photos, ["look.json"]),
        "weights": (["train", "weights", "fetch", NETWORK, "--shelf", "shelf"], [NETWORK], SHELF),
        "search": (search, ["search.yaml", "data/shards"], ["search.db"]),
        "apply": (["train.search", "apply"], ["search.db", SETTINGS], settings),
        "schema": (["init", "schema", "--output", "s.json"], [], ["s.json"]),
        "upgrade": (["init", "upgrade"], settings, settings),
        "compile": (["pipelines", "compile", "--output", "p.yaml"], settings, ["p.yaml"]),
        "init": (["init", PHOTOS], photos, settings),
    }[name]
    return Stage(name, words, reads, writes)


SHELF = [f"shelf/{NETWORK}"]

# Commands that are not tried here, and why.
UNTRIED = {
    "promote rules": "it reads",
    "train --list-backbones": "it reads",
    "train.search show": "it reads",
    "init completion": "it prints",
    "predict serve": "a server, which answers on: tests/predict/serve",
    "predict page": "a server, which writes nothing",
    "pipelines run": "the rooms, as tasks of KFP: benchmarks/faults.py",
} | {
    f"pipelines {action}": "it asks a cluster: tests/pipelines"
    for action in ("submit", "predict", "retry", "schedule", "upload", "clean")
}


def move_by_hand(project: Path) -> None:
    """Move the champion past the ledger, as a click in MLflow's page does."""
    with closing(sqlite3.connect(project / "mlflow.db")) as store, store:
        store.execute(f"update {ALIAS.split()[3]} set version = 2 where name = ?", (MODEL,))


def forget_settings(project: Path) -> None:
    """Leave settings out that came after a project was begun."""
    yaml = YAML()
    params = yaml.load((project / SETTINGS).read_text(encoding="utf-8"))
    del params["promote"]["served_images"], params["evaluate"]["robustness_images"]
    yaml.dump(params, project / SETTINGS)


def write_space(project: Path) -> None:
    """Say what a search may try."""
    (project / "search.yaml").write_text(SPACE)


# What lies in a project before a command is tried.
PREPARE: dict[str, Callable[[Path], None]] = {
    "repair": move_by_hand,
    "upgrade": forget_settings,
    "search": write_space,
}

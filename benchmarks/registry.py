"""Random sequences of what people, pipelines, crashes and MLflow's page do to a registry.

    python benchmarks/registry.py [SEQUENCES [SEED]]  # 1000, 0; the table of docs/registry.md
    python benchmarks/registry.py history             # seconds of `history` with 500 entries

After each step an oracle (_registry.py) sees whether the champion is one that the rules or a named
person put there, or that Darkroom tells that it is not; at the end of each sequence the commands
that the messages name must heal what is left.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402 - the project is found first

from benchmarks._registry import World, WrongError
from benchmarks._registry_stage import always_fit, silence
from components.common.errors import DarkroomError
from components.common.terminal import exit_on_error
from components.common.tracking.server import import_mlflow
from components.promote.registry.book import PROMOTE, SEAL, SOURCE, compute_hash
from components.promote.registry.ledger import Ledger
from components.promote.registry.moves import Move, Mover
from components.promote.registry.registry import Registry

STEPS = 10  # of a sequence, before it is healed
# How often each happens, to 100.
CHANCES = {
    "promote": 22, "approve": 8, "approve against the rules": 3, "rollback": 8,
    "rollback to any version": 5, "repair": 6, "crash": 12, "two at once": 6,
    "delete the ledger's run": 3, "restore it": 2, "delete its experiment": 2,
    "restore the experiment": 1, "rename its experiment": 1, "edit the ledger's tag": 2,
    "remove the ledger's tag": 2, "edit a version's tag": 3, "delete a version": 3,
    "delete the champion": 2, "move champion": 4, "remove champion": 2, "move challenger": 1,
    "rename the model": 1, "delete the model": 1,
}  # fmt: skip


def simulate(folder: Path, sequences: int, first_seed: int = 0) -> dict[str, collections.Counter]:
    """Run sequences, and return how often each operation went through and stopped.

    Raises:
        WrongError: with the seed and what was done.
    """
    found: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    with always_fit():
        for seed in range(first_seed, first_seed + sequences):
            world = World(folder, f"model {seed}", seed)
            done: list[str] = []
            try:
                for _ in range(STEPS):
                    names, weights = list(CHANCES), np.array(list(CHANCES.values()), float)
                    what = str(world.random.choice(names, p=weights / weights.sum()))
                    done.append(what)
                    found[what]["times"] += 1
                    found[what][_do(world, what)] += 1
                    if world.check():
                        found[what]["told"] += 1
                _heal(world)
            except WrongError as error:
                raise WrongError(f"seed {seed}, {', '.join(done)}: {error}") from None
    return found


def _do(world: World, what: str) -> str:
    acts = {
        "promote": world.promote,
        "approve": world.approve,
        "approve against the rules": lambda: world.approve(forced=True),
        "rollback": world.roll_back,
        "rollback to any version": lambda: world.roll_back(named=True),
        "repair": world.repair,
        "crash": world.crash,
        "two at once": world.race,
    }
    try:
        with silence():
            acts.get(what, lambda: world.click(what))()
    except DarkroomError:
        return "stopped"
    return "done"


def _heal(world: World) -> None:
    """Do what the messages say; then there is nothing left to tell."""
    told: list[str] = []
    for _ in range(3):
        told = world.tell()
        if not told:
            break
        _do(world, "rollback" if "rollback" in told[0] else "repair")
        world.check()
    else:
        raise WrongError(f"not healed: {told}")
    if world.find_source(world.find_alias("champion")) != world.champion:
        _do(world, "promote")  # it ends what a crash broke off
        world.check()
    shown = world.find_source(world.find_alias("champion"))
    if shown != world.champion:
        raise WrongError(f"healed, and {shown} is champion instead of {world.champion}")


def time_history(folder: Path, count: int = 500) -> tuple[float, float]:
    """Return how long the command takes on a ledger, start of Python included.

    Each entry is the promotion of a version of its own, sealed with its tags.

    Returns:
        Seconds that passed, and seconds of a core.
    """
    mlflow = import_mlflow()
    registry, client = Registry(mlflow, "darkroom"), mlflow.MlflowClient()
    registry.create_model()
    tags = {f"darkroom.origin_{number}": "0" * 40 for number in range(8)}
    for _ in range(count):
        client.create_model_version("darkroom", str(folder), tags=tags)
    seal = {SEAL: {SOURCE: str(folder), **tags}}
    first = Move(PROMOTE, "champion", None, "1", "every rule holds", seal)
    Mover(registry, "somebody").move(first)
    book = Ledger(mlflow, "darkroom").read()
    last, params = book.entries[-1], []
    for number in range(2, count + 1):
        last = dataclasses.replace(
            last,
            number=number,
            before=str(number - 1),
            after=str(number),
            previous=compute_hash(last.to_text()),
            token=uuid.uuid4().hex[:12],
        )
        text = last.to_text()
        params.append(mlflow.entities.Param(f"entry-{number:06d}", text))
        params.append(mlflow.entities.Param(f"done-{number:06d}", compute_hash(text)))
    for start in range(0, len(params), 100):  # as many as MLflow takes at once
        client.log_batch(book.run_id, params=params[start : start + 100])
    Ledger(mlflow, "darkroom").finish(last, book.run_id)
    registry.set_alias("champion", last.after)
    command = [sys.executable, "-m", "components.promote", "history", "--name", "darkroom"]
    began, before_it = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    seconds = time.perf_counter() - began
    after_it = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "the chain of the ledger holds" in done.stdout
    work = after_it.ru_utime + after_it.ru_stime - before_it.ru_utime - before_it.ru_stime
    return seconds, work


def main(words: list[str]) -> None:
    """Print the table, or the time."""
    if words and words[0] != "history" and not all(word.isdecimal() for word in words):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{name}/mlflow.db"
        os.chdir(name)
        if words == ["history"]:
            seconds, work = time_history(Path(name))
            print(f"history of 500 entries: {seconds:.1f} s, {work:.1f} s of a core")
            return
        count, seed, start = 1000, 0, time.perf_counter()
        if words:
            count, seed = int(words[0]), int(words[1]) if len(words) > 1 else 0
        found = simulate(Path(name), count, seed)
        steps = sum(one["times"] for one in found.values())
        print("| what | times | went through | stopped, said why | another shown, and told |")
        print("|---|---:|---:|---:|---:|")
        for what in CHANCES:
            one = found[what]
            row = " | ".join(str(one[key]) for key in ("times", "done", "stopped", "told"))
            print(f"| {what} | {row} |")
        seconds = time.perf_counter() - start
        print(f"{count:,} sequences, {steps:,} steps, none wrong ({seconds:.0f} s)")


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main(sys.argv[1:])

"""Faults on purpose: each room with one in its way, then again; a table of what survived.

python -m tests.faults --seed 0 --count 2              # every room, every fault
python -m tests.faults --seed 7 --count 1 --only train:SIGKILL
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.faults.kinds import KINDS, NotTried, Trial
from tests.faults.project import (
    MINE,
    PHOTOS,
    ROOMS,
    Line,
    compute_digests,
    list_names,
    run_undisturbed,
    start,
)
from tests.trees import read_tree

Outcome = tuple[int, list[str]]  # how many were tried, and the failures with their seeds


def main() -> None:
    """Run what the flags ask for, print the table, exit with 1 if anything did not survive."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first try")
    parser.add_argument("--count", type=int, default=1, help="tries of each room and fault")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="ROOM:FAULT", help="either may be empty"
    )
    flags = parser.parse_args()
    wanted = [tuple(word.split(":", 1)) for word in flags.only]
    folder = Path(tempfile.mkdtemp(prefix="darkroom-faults-"))
    rooms = ROOMS[: 1 + max((ROOMS.index(r) if r else 5 for r, _ in wanted), default=5)]
    line = run_undisturbed(folder, rooms)
    outcomes: dict[tuple[str, str], Outcome] = {}
    for room in rooms:
        for kind in KINDS:
            if wanted and not any(r in ("", room) and k in ("", kind) for r, k in wanted):
                continue
            seeds = range(flags.seed, flags.seed + flags.count)
            outcomes[room, kind] = try_fault(line, room, kind, seeds)
    print(describe(outcomes))
    failed = any(failures for _, failures in outcomes.values())
    if not failed:
        shutil.rmtree(folder)
    sys.exit(f"the projects are in {folder}" if failed else 0)


def try_fault(line: Line, room: str, kind: str, seeds: range) -> Outcome:
    """Return how many tries there were, and the failures."""
    tried, failures = 0, []
    for seed in seeds:
        place = line.folder / f"{room}-{kind.replace('/', '').replace(' ', '-')}-{seed}"
        try:
            codes = run_once(line, room, kind, seed, place)
        except NotTried as error:
            print(f"{room}, {kind}: not tried, {error}", flush=True)
            break
        except AssertionError as error:
            log = Path(f"{place}.log").read_text(encoding="utf-8")
            print(f"{room}, {kind}, seed {seed}: {error}\n{log[-1500:]}", flush=True)
            failures.append(f"{seed} ({str(error).splitlines()[0]})")
        else:
            ends = " and ".join(map(str, codes))
            print(f"{room}, {kind}, seed {seed}: ended with {ends}, survived", flush=True)
            remove(place)
        tried += 1
    return tried, failures


def remove(place: Path) -> None:
    """Remove the project of a try, and what lies beside it."""
    shutil.rmtree(place)
    shutil.rmtree(f"{place}.tmp", ignore_errors=True)
    Path(f"{place}.log").unlink()


def run_once(line: Line, room: str, kind: str, seed: int, place: Path) -> list[int]:
    """Run a room with a fault in its way, then again; return how it ended.

    Raises:
        AssertionError: if anything was lost, left lying or taken for whole.
        NotTried: if this room or this machine cannot have the fault.
    """
    stage = line.stages[room]
    line.copy(room, place)
    dice = random.Random(f"{room} {kind} {seed}")
    try:
        codes = KINDS[kind](Trial(line, stage, place, dice))
    except NotTried:
        shutil.rmtree(place)
        raise
    log = Path(f"{place}.log").read_text(encoding="utf-8")
    check_words(codes, log)
    expected, found = line.digests[room], compute_digests(place, stage)
    # A room that finished with fewer photos says so; what it wrote is of those photos.
    may_differ = kind in ("damaged input", "vanishing input") and 0 in codes
    wrong = [name for name in found if found[name] != expected[name] and not may_differ]
    assert not wrong, f"after the fault {', '.join(wrong)} is not as in the undisturbed run"
    if kind != "SIGKILL":
        left = list(Path(f"{place}.tmp").iterdir())
        assert not left, f"left in TMPDIR: {', '.join(file.name for file in left)}"
    # What MLflow could not be told is told by a later run.
    if any(codes) or may_differ or kind.startswith("MLflow"):
        code = Trial(line, stage, place, dice).wait(start(stage, place))
        assert code == 0, f"the next run ends with {code}"
    found = compute_digests(place, stage)
    wrong = [name for name in expected if found.get(name) != expected[name]]
    assert not wrong, f"{', '.join(wrong)} differs from the undisturbed run"
    check_names(line, room, place)
    check_runs(place)
    return codes


def check_words(codes: list[int], log: str) -> None:
    """What failed says so in words; a process that is killed has none."""
    assert "Traceback" not in log, "a traceback instead of words"
    if 1 in codes:
        assert "error: " in log, "it failed without a word"


def check_names(line: Line, room: str, place: Path) -> None:
    """All of a person's files are as they were, and nothing is there that does not belong."""
    names = list_names(place)
    stray = sorted(names - line.names[room])
    assert not stray, f"left lying: {', '.join(stray)}"
    assert not (missing := line.names[room] - names), f"gone: {', '.join(sorted(missing))}"
    for name in MINE:
        assert (place / name).read_text() == "mine", f"{name} was changed"
    before = line.folder / "before" / room / PHOTOS
    assert read_tree(place / PHOTOS) == read_tree(before), "a photo was changed"


def check_runs(place: Path) -> None:
    """No run of MLflow is left as if it still ran."""
    if (place / "mlflow.db").exists():
        with closing(sqlite3.connect(place / "mlflow.db")) as store:
            left = store.execute("select name from runs where status = 'RUNNING'").fetchall()
        assert not left, f"runs of MLflow still marked as running: {left}"


def describe(outcomes: dict[tuple[str, str], Outcome]) -> str:
    """Return a Markdown table, a line a fault: how many survived, and which seeds failed."""
    rooms = [room for room in ROOMS if any(r == room for r, _ in outcomes)]
    lines = [f"| fault | {' | '.join(rooms)} |", f"|---{'|---' * len(rooms)}|"]
    for kind in KINDS:
        cells = []
        for room in rooms:
            tried, failures = outcomes.get((room, kind), (0, []))
            seeds = f", fails: {'; '.join(failures)}" if failures else ""
            cells.append(f"{tried - len(failures)} of {tried}{seeds}" if tried else "–")
        if any(cell != "–" for cell in cells):
            lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

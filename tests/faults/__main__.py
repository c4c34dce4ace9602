"""Faults on purpose: each room and command with one in its way, then again; a table of them.

python -m tests.faults --seed 0 --count 2              # every room and command, every fault
python -m tests.faults --seed 7 --count 1 --only train:SIGKILL
python -m tests.faults --count 99 --minutes 60 --jobs 2 --table docs/operations.md
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from components.common.tracking.signals import raising_on_sigterm
from tests.faults.champion import check_champion
from tests.faults.checks import (
    check_names,
    check_processes,
    check_runs,
    check_temporary,
    check_words,
)
from tests.faults.kinds import KINDS
from tests.faults.project import (
    ASKING,
    COMMANDS,
    LINE,
    ROOMS,
    WRITING,
    Line,
    compute_digests,
    run_undisturbed,
    start,
)
from tests.faults.trial import NotTried, Trial

# Marks in a page between which the table stands.
BEGIN, END = "<!-- begin: make faults -->", "<!-- end: make faults -->"


def main() -> None:
    """Run what the flags ask for, print the table, exit with 1 if anything did not survive."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first try")
    parser.add_argument("--count", type=int, default=1, help="tries of each room and fault")
    parser.add_argument("--minutes", type=float, help="of tries; then none is begun")
    parser.add_argument(
        "--line", type=Path, metavar="FOLDER", help="keep the undisturbed run there, or take it"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="ROOM:FAULT", help="either may be empty"
    )
    parser.add_argument("--jobs", type=int, default=1, help="tries at a time")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table into its place")
    flags = parser.parse_args()
    wanted = [tuple(word.split(":", 1)) for word in flags.only]
    folder = (flags.line or Path(tempfile.mkdtemp(prefix="faults-"))).resolve()
    names = (*ROOMS, *COMMANDS)
    last = max((names.index(r) for r, _ in wanted if r), default=len(names) - 1)
    names = names if ("",) in {w[:1] for w in wanted} else names[: last + 1]
    with ending_what_runs(folder):
        if (folder / LINE).exists():
            line = Line.load(folder)
            if lacking := sorted({room for room, _ in wanted} - {"", *line.seconds}):
                sys.exit(f"{folder} holds no undisturbed {', '.join(lacking)}; give another folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            line = run_undisturbed(folder, names)
            line.save()
        end = time.monotonic() + (flags.minutes or 1e9) * 60
        cells = [
            (room, kind)
            for room in line.seconds
            for kind in KINDS
            if not wanted or any(r in ("", room) and k in ("", kind) for r, k in wanted)
        ]
        seeds = range(flags.seed, flags.seed + flags.count)
        outcomes = try_all(line, cells, seeds, end, flags.jobs)
    table = f"{describe_command(flags, outcomes)}\n\n{describe(outcomes)}"
    print(table)
    if flags.table:
        write_table(flags.table, table)
    failed = any(one.failures for one in outcomes.values())
    if not failed and not flags.line:
        shutil.rmtree(folder)
    sys.exit(f"the projects are in {folder}" if failed else 0)


@contextmanager
def ending_what_runs(folder: Path) -> Iterator[None]:
    """End rooms, and by their own farewells servers and disks, also where SIGTERM ends the body."""
    with raising_on_sigterm():
        try:
            yield
        finally:
            for process in psutil.process_iter(["cwd"]):
                if Path(process.info["cwd"] or "/").is_relative_to(folder):
                    with suppress(psutil.Error):
                        process.kill()


@dataclass
class Outcome:
    """What came of one fault in one room."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)  # with their seeds
    reason: str = ""  # why it is not tried


def try_all(
    line: Line, cells: Sequence[tuple[str, str]], seeds: range, end: float, jobs: int = 1
) -> dict[tuple[str, str], Outcome]:
    """Try all cells with one seed, then with the next, each time in another order.

    So time that ends early leaves no room and no fault out.
    """
    outcomes = {cell: Outcome() for cell in cells}

    def try_cell(seed: int, cell: tuple[str, str]) -> None:
        if time.monotonic() < end and not outcomes[cell].reason:
            try_fault(line, *cell, seed, outcomes[cell])

    with ThreadPoolExecutor(jobs) as pool:  # what is tried are processes
        try:
            for seed in seeds:
                if time.monotonic() > end:
                    break
                mixed = random.Random(seed).sample(cells, len(cells))
                list(pool.map(partial(try_cell, seed), mixed))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return outcomes


def try_fault(line: Line, room: str, kind: str, seed: int, outcome: Outcome) -> None:
    """Try one fault in one room, and note what came of it."""
    place = line.folder / f"{room}-{kind.replace('/', '').replace(' ', '-')}-{seed}"
    began = time.monotonic()
    try:
        codes = run_once(line, room, kind, seed, place)
    except NotTried as error:
        print(f"{room}, {kind}: not tried, {error}", flush=True)
        outcome.reason = str(error)
        return
    except Exception as error:  # also where a try itself breaks: that is no proof of anything
        words = str(error) if isinstance(error, AssertionError) else repr(error)
        log = Path(f"{place}.log")
        said = log.read_text(encoding="utf-8")[-1500:] if log.exists() else ""
        print(f"{room}, {kind}, seed {seed}: {words}\n{said}", flush=True)
        outcome.failures.append(f"{seed} ({words.splitlines()[0]})")
    else:
        ends, seconds = " and ".join(map(str, codes)), time.monotonic() - began
        print(
            f"{room}, {kind}, seed {seed}: ended with {ends}, survived ({seconds:.0f} s)",
            flush=True,
        )
        remove(place)
    outcome.tried += 1


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
    check_processes(place)
    expected, found = line.digests[room], compute_digests(place, stage)
    # A room that finished with fewer photos says so; what it wrote is of those photos.
    may_differ = kind.endswith(" input") and 0 in codes
    before = compute_digests(line.folder / "before" / room, stage)  # what a failure leaves alone
    wrong = [
        name
        for name in found
        if found[name] not in (expected[name], before.get(name)) and not may_differ
    ]
    assert not wrong, f"after the fault {', '.join(wrong)} is not as in the undisturbed run"
    if kind != "SIGKILL":  # a killed one cannot; the next removes it
        check_temporary(place)
    check_champion(place)
    # What MLflow could not be told is told by a later run.
    if any(codes) or may_differ or kind.startswith("MLflow") or "registry" in kind:
        code = Trial(line, stage, place, dice).wait(start(stage, place))
        assert code == 0, f"the next run ends with {code}"
    found = compute_digests(place, stage)
    wrong = [name for name in expected if found.get(name) != expected[name]]
    assert not wrong, f"{', '.join(wrong)} differs from the undisturbed run"
    check_names(line, room, place)
    check_runs(place)
    check_champion(place)
    check_temporary(place)  # what a killed one left is gone as well
    return codes


def describe_command(flags: argparse.Namespace, outcomes: Mapping[Any, Outcome]) -> str:
    """Return what was asked for, when, and how much came of it."""
    words = f"make faults SEED={flags.seed} COUNT={flags.count}"
    more = [f"--minutes {flags.minutes:g}"] if flags.minutes else []
    more += [f"--jobs {flags.jobs}"] if flags.jobs > 1 else []
    more += [f"--only {shlex.join(flags.only)}"] if flags.only else []
    words += f" ARGS='{' '.join(more)}'" if more else ""
    tried = sum(one.tried for one in outcomes.values())
    failed = sum(len(one.failures) for one in outcomes.values())
    return f"`{words}`, {time.strftime('%Y-%m-%d')}: {tried - failed} of {tried} tries survived."


def describe(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    """Return Markdown tables, a line a fault: how many survived, and which seeds failed."""
    tables = []
    for names in (ROOMS, ASKING, WRITING):
        tried = {room for (room, _), outcome in outcomes.items() if outcome.tried}
        rooms = [name for name in names if name in tried]
        lines = [f"| fault | {' | '.join(rooms)} |", f"|---{'|---' * len(rooms)}|"]
        for kind in KINDS:
            cells = [_describe_cell(outcomes.get((room, kind), Outcome())) for room in rooms]
            if any(cell != "–" for cell in cells):
                lines.append(f"| {kind} | {' | '.join(cells)} |")
        tables += ["\n".join(lines)] if rooms else []
    return "\n\n".join(tables)


def _describe_cell(outcome: Outcome) -> str:
    seeds = f", fails: {'; '.join(outcome.failures)}" if outcome.failures else ""
    survived = outcome.tried - len(outcome.failures)
    return f"{survived} of {outcome.tried}{seeds}" if outcome.tried else "–"


def write_table(file: Path, table: str) -> None:
    """Put the table between the marks of a page."""
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    assert end, f"{file} lacks {BEGIN} or {END}"
    file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()

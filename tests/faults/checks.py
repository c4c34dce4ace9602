"""What must hold after a try: words, no process, nothing left lying, a person's files kept."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil

from tests.faults.project import MINE, PHOTOS, Line, list_names
from tests.trees import read_tree

LAST_SECONDS = 10  # in which what was started may end after who started it


def check_words(codes: list[int], log: str) -> None:
    """What failed says so in words; a process that is killed has none."""
    assert "Traceback" not in log, "a traceback instead of words"
    if 1 in codes:
        assert "error: " in log, "it failed without a word"


def check_processes(place: Path) -> None:
    """Nothing that a run started outlives it."""
    end = time.monotonic() + LAST_SECONDS
    while left := list_processes(place):
        assert time.monotonic() < end, f"still running: {', '.join(left)}"
        time.sleep(0.1)


def list_processes(place: Path) -> list[str]:
    """Return the processes that work in a project."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if Path(process.info["cwd"] or "/").is_relative_to(place):
            found.append(" ".join(process.info["cmdline"] or ())[:80])
    return found


def check_temporary(place: Path) -> None:
    """Nothing is left where temporary files go."""
    left = list(Path(f"{place}.tmp").iterdir())
    assert not left, f"left in TMPDIR: {', '.join(file.name for file in left)}"


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

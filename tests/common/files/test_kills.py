"""A kill while a folder is written leaves old or new, and all that is not ours."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.common.files.ownership import STAMP
from components.common.files.writing import write_text, writing, writing_folder
from tests.trees import put, read_tree

from .test_writing import OURS, write_two


def run_and_kill(step: int, body: Callable[[], None]) -> bool:
    """Run a body in a process that dies by SIGKILL at its nth touch of the disk; whether it did."""
    child = os.fork()
    if not child:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event == "open" or event.startswith("os."):
                left -= 1
                if left < 0:
                    signal.raise_signal(signal.SIGKILL)

        try:
            sys.addaudithook(count)
            body()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_old_or_new_and_all_that_is_not_ours(tmp_path: Path) -> None:
    target, file = tmp_path / "out", tmp_path / "out.csv"

    def work() -> None:
        with writing_folder(target, "ingest") as folder:
            put(folder / "a" / "1.png", "new")
            put(folder / "c" / "3.png", "new")
        write_text(file, "new")

    step, dies = 0, True
    while dies:
        if target.exists():
            shutil.rmtree(target)
        write_two(target, "old")
        write_text(tmp_path / "other.csv", "clears what the kill before left")
        put(tmp_path / "mine" / str(step))
        before = {name: text for name, text in read_tree(target).items() if name != STAMP}
        dies = run_and_kill(step, work)
        write_text(tmp_path / "other.csv", "clears what a kill left")
        found = {name: text for name, text in read_tree(target).items() if name != STAMP}
        assert found in (before, {"a/1.png": b"new", "c/3.png": b"new"})
        assert not file.exists() or file.read_text() == "new"
        left = {path for path in tmp_path.iterdir() if path.name.endswith(".partial")}
        # Killed before it said what it was for: it is left for a minute, for it may live.
        assert not any(any(read_tree(place).values()) for place in left)
        for place in left:
            os.utime(place, (0, 0))
        write_text(tmp_path / "other.csv", "clears the rest")
        assert {file.name for file in tmp_path.iterdir()} <= OURS
        step += 1
    assert step > 30, "there are so many touches"
    assert len(read_tree(tmp_path / "mine")) == step
    work()
    assert (target / "c" / "3.png").read_text() == "new"


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path / "out.csv") as temporary:
        temporary.write_text("ours")
        assert not run_and_kill(10**6, lambda: write_text(tmp_path / "other.csv", "other"))
    assert (tmp_path / "out.csv").read_text() == "ours"


# --- one in the other --------------------------------------------------------------------------

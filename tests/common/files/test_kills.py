"""A kill while a folder is written leaves old or new, and all that is not ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from components.common.files.ownership import STAMP
from components.common.files.temporary import OWNER, create_place
from components.common.files.writing import remove_written, write_text, writing, writing_folder
from tests.trees import put, read_tree

from .test_writing import OURS, write_two


def run_with(step: int, fault: Callable[[], None], body: Callable[[], None]) -> int:
    """Run a body in a process in which a fault happens at its nth touch of the disk.

    Returns:
        How the process ended, as os.waitpid has it: 0 if it came to its end in peace.
    """
    child = os.fork()
    if not child:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event == "open" or event.startswith(("os.", "fcntl.")):
                left -= 1
                if left == -1:
                    fault()

        status = 1
        try:
            sys.addaudithook(count)
            body()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def run_and_kill(step: int, body: Callable[[], None]) -> bool:
    """Run a body in a process that dies by SIGKILL at its nth touch of the disk; whether it did."""
    return os.WIFSIGNALED(run_with(step, lambda: signal.raise_signal(signal.SIGKILL), body))


def in_another_process(body: Callable[[], None]) -> None:
    child = os.fork()
    if not child:
        try:
            body()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


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
        assert {file.name for file in tmp_path.iterdir()} <= OURS
        step += 1
    assert step > 30, "there are so many touches"
    assert len(read_tree(tmp_path / "mine")) == step
    work()
    assert (target / "c" / "3.png").read_text() == "new"


class Ended(BaseException):
    """What a signal is turned into."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_leaves_old_or_new_and_nothing_lying(
    tmp_path: Path, number: signal.Signals
) -> None:
    target, file = tmp_path / "out", tmp_path / "out.csv"

    def stop(*_: object) -> None:
        raise Ended

    def work() -> None:
        signal.signal(number, stop)
        with suppress(Ended):
            with writing_folder(target, "ingest") as folder:
                put(folder / "a" / "1.png", "new")
            write_text(file, "new")
            return
        os._exit(1)

    write_two(target, "old")
    step, ends = 0, True
    while ends:
        ends = run_with(step, lambda: signal.raise_signal(number), work) != 0
        found = {name: text for name, text in read_tree(target).items() if name != STAMP}
        assert found in ({"a/1.png": b"old", "b/2.png": b"old"}, {"a/1.png": b"new"}), step
        assert not list(tmp_path.glob(".*.partial")), step
        step += 1
    assert step > 30, "there are so many touches"


def test_a_folder_in_which_a_process_was_killed_can_go_at_once(tmp_path: Path) -> None:
    """As the checkpoint of a training does; a place without an owner kept it for a minute."""
    folder, step, dies = tmp_path / "model.checkpoint", 0, True
    while dies:
        folder.mkdir()
        dies = run_and_kill(step, lambda: write_text(folder / "part.json", "new"))
        remove_written(folder)
        assert not folder.exists(), step
        step += 1
    assert step > 10, "there are so many touches"


@pytest.mark.parametrize("step", range(24))
def test_one_that_clears_while_another_begins_takes_nothing_from_it(
    tmp_path: Path, step: int
) -> None:
    """Until its lock is held, a place may be taken for a dead one's: then another is made."""

    def clear() -> None:
        in_another_process(lambda: write_text(tmp_path / "other.csv", "clears"))

    assert run_with(step, clear, lambda: write_text(tmp_path / "out.csv", "ours")) == 0
    assert (tmp_path / "out.csv").read_text() == "ours"
    assert not list(tmp_path.glob("*.partial"))


def test_what_another_machine_begins_is_left_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, owner = create_place(tmp_path, ".darkroom-{}.partial", "out.csv")
    with owner:  # locked on a file system that knows only the locks of its own machine
        (place / OWNER).write_text("")
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    write_text(tmp_path / "other.csv", "clears")
    assert place.exists()
    os.utime(place, (0, 0))
    write_text(tmp_path / "other.csv", "clears again")
    assert not place.exists()


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path / "out.csv") as temporary:
        temporary.write_text("ours")
        assert not run_and_kill(10**6, lambda: write_text(tmp_path / "other.csv", "other"))
    assert (tmp_path / "out.csv").read_text() == "ours"


# --- one in the other --------------------------------------------------------------------------

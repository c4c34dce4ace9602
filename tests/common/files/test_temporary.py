"""What a command keeps for a while goes with it; what a killed one left goes with the next."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from components.common.files import temporary
from components.common.files.temporary import keeping_in_one_folder
from tests.faults.project import SITE

from .test_kills import run_and_kill

ROOT = Path(__file__).parents[3]
LIBRARY = """
import tempfile, time
from components.common.files import temporary
from components.common.files.temporary import keeping_in_one_folder
with keeping_in_one_folder():
    tempfile.mkdtemp(prefix="matplotlib-")
    print("made", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def start() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LIBRARY],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    return process


BODY = """
import atexit, os, shutil, subprocess, sys, tempfile
from pathlib import Path
from components.common.files import temporary
from components.common.files.temporary import keeping_in_one_folder
place = tempfile.gettempdir()
with keeping_in_one_folder():
    own = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, own)  # as matplotlib does where there is no home
    Path(tempfile.mkdtemp(), "left").touch()
    inner = os.environ["TMPDIR"]
    assert os.listdir(place) == [os.path.basename(inner)]
    ask = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    assert subprocess.check_output(ask, text=True).strip() == inner
    if len(sys.argv) > 1:
        raise OSError("mine")
assert (os.environ["TMPDIR"], tempfile.gettempdir()) == (place, place)
"""


@pytest.mark.parametrize("fails", [False, True])
def test_all_of_it_goes_in_the_end(place: Path, fails: bool) -> None:
    command = [sys.executable, "-c", BODY, *["fail"] * fails]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.count("Traceback") == fails
    assert done.returncode == fails
    assert not fails or done.stderr.endswith("OSError: mine\n")
    assert list(place.iterdir()) == []


def come_and_go(count: int) -> None:
    """Be a command that sees so many folders, and remove now what goes when this process ends."""
    with keeping_in_one_folder():
        own = Path(os.environ["TMPDIR"])
        assert len(list(own.parent.iterdir())) == count
    shutil.rmtree(own)


def test_what_a_killed_command_left_goes_with_the_next(place: Path) -> None:
    killed, living = start(), start()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    (place / "darkroom-mine").mkdir()  # of nobody's name
    (place / "darkroom-0123456789abcdef").write_text("mine")
    assert len(list(place.iterdir())) == 4
    come_and_go(4)
    assert len(list(place.iterdir())) == 3
    assert list(place.glob("*/matplotlib-*")) != []
    living.kill()
    living.wait()
    come_and_go(3)
    assert {path.name for path in place.iterdir()} == {
        "darkroom-mine",
        "darkroom-0123456789abcdef",
    }


def test_what_was_killed_at_its_start_goes_with_the_next(place: Path) -> None:
    step, dies = 0, True
    while dies:
        dies = run_and_kill(step, lambda: come_and_go(1))
        with keeping_in_one_folder():
            own = Path(os.environ["TMPDIR"])
            assert list(place.iterdir()) == [own], step
        shutil.rmtree(own)
        step += 1
    assert step > 5, "there are so many touches"


def test_where_none_can_be_made_libraries_find_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(temporary, "create_place", fail)
    before = os.environ.get("TMPDIR")
    with keeping_in_one_folder():
        assert os.environ.get("TMPDIR") == before


@pytest.mark.slow
def test_sigterm_at_any_moment_leaves_nothing(place: Path) -> None:
    """At each touch of the place: while its folder is made, and while it is removed."""
    touch, ended = 0, 143
    while ended:
        touch += 1
        done = subprocess.run(
            [sys.executable, "-m", "components.init", "schema", "--output", "schema.json"],
            cwd=place.parent,
            env=os.environ
            | {
                "PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}",
                "DARKROOM_FAULT": f"term {touch} {place}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        ended = done.returncode
        assert ended in (0, 143, -signal.SIGTERM), done.stderr
        assert "Traceback" not in done.stderr
        assert list(place.iterdir()) == [], touch
    assert touch > 10, "there are so many touches"

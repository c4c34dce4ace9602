"""A few faults in the quick rooms, and that what goes wrong is seen; more by `make faults`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from components import ROOMS
from components.common.cli import read_commands
from components.train.search.__main__ import create_parser as create_search
from pipelines.cli import create_parser as create_pipelines
from tests.faults import __main__ as faults
from tests.faults.commands import UNTRIED
from tests.faults.kinds import KINDS
from tests.faults.project import ROOT, Line, read_stages
from tests.faults.trial import NotTried, Trial

SEED = int.from_bytes(os.urandom(2))  # a failure names it
TRIED = [
    pytest.param("ingest", "full disk", marks=pytest.mark.slow),
    ("preprocess", "SIGKILL"),
    ("preprocess", "vanishing input"),
]


@pytest.mark.parametrize(("room", "kind"), TRIED)
def test_a_room_survives(room: str, kind: str, line: Line, tmp_path: Path) -> None:
    try:
        faults.run_once(line, room, kind, SEED, tmp_path / "project")
    except NotTried as error:
        pytest.skip(str(error))
    except AssertionError as error:
        again = f'make faults SEED={SEED} COUNT=1 ARGS="--only {room}:{kind}"'
        raise AssertionError(f"{error}\nrepeated by: {again}") from error


def list_commands() -> set[str]:
    """Return all that a person may type behind `python -m components.`, and of pipelines."""
    found = {f"{room} {name}".strip() for room in ROOMS for name in read_commands(room)}
    for parser, module in ((create_search(), "train.search"), (create_pipelines(), "pipelines")):
        actions = [one for one in parser._actions if isinstance(one.choices, dict)]
        found |= {f"{module} {name}" for one in actions for name in one.choices}
    return found | set(ROOMS)


def test_every_command_is_tried_or_it_is_said_why_not() -> None:
    tried = {" ".join(stage.words[:count]) for stage in read_stages().values() for count in (1, 2)}
    known = list_commands()
    assert known - tried - set(UNTRIED) == set()
    assert set(UNTRIED) <= known
    assert not set(UNTRIED) & tried


def cut_output(trial: Trial) -> None:
    file = trial.folder / "data/splits.parquet"
    file.write_bytes(file.read_bytes()[:-9])


def leave_litter(trial: Trial) -> None:
    (trial.folder / "data/.splits.parquet.tmp").touch()


def take_file(trial: Trial) -> None:
    (trial.folder / "reports/mine.csv").write_text("yours")


def leave_temporary(trial: Trial) -> None:
    Path(f"{trial.folder}.tmp", "left").touch()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_output, "splits.parquet is not as in the undisturbed run"),
        (leave_litter, "left lying: data/.splits.parquet.tmp"),
        (take_file, "reports/mine.csv was changed"),
        (leave_temporary, "left in TMPDIR: left"),
    ],
)
def test_what_goes_wrong_is_seen(
    spoil: Callable[[Trial], None],
    words: str,
    line: Line,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(trial: Trial) -> list[int]:
        code = trial.wait(trial.start())
        spoil(trial)
        return [code]

    monkeypatch.setitem(KINDS, "spoilt", run)
    with pytest.raises(AssertionError, match=words):
        faults.run_once(line, "preprocess", "spoilt", SEED, tmp_path / "project")


def test_what_sigterm_ends_leaves_no_server_and_no_room(tmp_path: Path) -> None:
    """An MLflow server ran on for days, with nobody to ask it."""
    code = (
        "import os, subprocess, sys, time\n"
        "from pathlib import Path\n"
        "from tests.faults.__main__ import ending_what_runs\n"
        "from tests.promote import servers\n"
        "folder, port = Path(sys.argv[1]), servers.find_port()\n"
        "server = [sys.executable, '-m', 'http.server', str(port)]\n"
        "address = f'http://127.0.0.1:{port}/'\n"
        "with ending_what_runs(folder):\n"
        "    with servers.running(server, address, folder / 'log', dict(os.environ)):\n"
        "        subprocess.Popen(['sleep', '600'], cwd=folder)\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        started = psutil.Process(process.pid).children()
        assert len(started) == 2
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert psutil.wait_procs(started, timeout=10)[1] == []
    finally:
        process.kill()

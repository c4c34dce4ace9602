"""A few faults in the quick rooms, and that what goes wrong is seen; more by `make faults`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import __main__ as faults
from tests.faults.kinds import KINDS
from tests.faults.project import Line
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

"""The database of a search: one that is not there, or of something else, is told and left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from components.train.search.__main__ import main

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_commands_without_a_study_say_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "components.train.search",
            "apply",
            "--database",
            tmp_path / "no.db",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no studies here" in done.stderr


@pytest.mark.parametrize("words", [["show"], ["apply"], ["run"]])
@pytest.mark.parametrize("kind", ["mlflow", "text", "folder"])
def test_a_file_of_something_else_is_no_database_of_studies(
    words: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optuna made its tables in the database of the registry, and then failed."""
    database = tmp_path / "mine"
    if kind == "folder":
        database.mkdir()
    elif kind == "text":
        database.write_text("notes\n")
    else:
        with closing(sqlite3.connect(database)) as made:
            made.execute("CREATE TABLE experiments (name TEXT)")
            made.commit()
    before = None if kind == "folder" else database.read_bytes()
    with pytest.raises(SystemExit) as end:
        main([*words, "--database", str(database)])
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {database}: ")
    assert "--database" in told
    assert told.count("\n") == 1
    assert before is None or database.read_bytes() == before
    assert before is not None or not list(database.iterdir())

"""A project that an earlier release left goes on: its files are read, its champion answers."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.project import UNSET
from tests.faults.champion import check_champion, find_champion
from tests.faults.project import PHOTOS, read_stages

ROOT = Path(__file__).parents[2]
RELEASES = sorted((Path(__file__).parent / "releases").glob("*.tar.xz"))

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def call(folder: Path, *words: str, code: int = 0) -> str:
    """Run one of our programs in a project; return what it said."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(UNSET)}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=known | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    return said


def run(folder: Path, room: str, code: int = 0) -> str:
    name, *words = read_stages()[room].words
    return call(folder, f"components.{name}", *words, code=code)


@pytest.fixture(params=RELEASES, ids=lambda file: file.name)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_it_runs_on_with_its_files_and_settings(project: Path) -> None:
    assert "their defaults are used" in run(project, "validate")  # settings came since
    # What is there is taken over: split by split, shard by shard.
    assert "written anew" not in run(project, "preprocess")
    run(project, "evaluate")  # its model, its history, what its train found
    run(project, "promote")
    assert find_champion(project) == "1"
    check_champion(project)
    answered = project / "answers.csv"
    photos = [str(file) for file in sorted((project / PHOTOS).rglob("*.png"))[:3]]
    model = ("--model", "models:/darkroom@champion", "--output", str(answered))
    call(project, "components.predict", *photos, *model)
    with answered.open(newline="", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 3
    assert "promote" in call(project, "components.promote", "history")
    run(project, "train")  # and another model beside it
    with closing(sqlite3.connect(project / "mlflow.db")) as store:
        running = store.execute("select count(*) from runs where status = 'RUNNING'").fetchone()
    assert running == (0,)


def test_champion_of_before_is_the_rival_of_now(project: Path) -> None:
    for room in ("train", "evaluate", "promote"):
        run(project, room)
    verdict = json.loads((project / "reports/verdict.json").read_text(encoding="utf-8"))
    assert verdict["champion_before"] == "1"
    assert verdict["verdict"] in ("promoted", "rejected")


def test_what_a_newer_version_wrote_is_not_guessed_at(project: Path) -> None:
    file = project / "reports/metrics.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({"schema": "darkroom metrics 7"} | found), encoding="utf-8")
    said = run(project, "promote", code=1)
    assert "metrics of form 7, written by a newer version of Darkroom" in said
    assert "update Darkroom, or run evaluate again" in said
    splits = project / "data/splits.parquet"
    table = pq.read_table(splits)
    mark = {b"PANDAS_ATTRS": json.dumps({"schema": "darkroom splits 2"})}
    pq.write_table(table.replace_schema_metadata((table.schema.metadata or {}) | mark), splits)
    before = shutil.copy(splits, project / "before")
    assert "splits of form 2, written by a newer version" in run(project, "preprocess", code=1)
    assert splits.read_bytes() == before.read_bytes()

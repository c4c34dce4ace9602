"""The folder of findings: all that is declared lies in it, and it comes whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from components.common.artifacts.findings import NO_CURVE, FindingFiles, read_held_back
from components.common.errors import DarkroomError
from components.common.files.ownership import STAMP
from tests.train.digit_shards import write_digits
from tests.train.tiny_run import run_tiny

PROBE_ONLY = {"epochs": 0}


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the findings, without the list that Darkroom keeps of what it wrote."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != STAMP}


@pytest.mark.slow
def test_the_findings_come_whole_or_not_at_all(tmp_path: Path, mlflow_store: Path) -> None:
    shards, out = tmp_path / "shards", tmp_path / "out"
    write_digits(shards, {"train": (6, 6), "val": (3, 3), "test": (3, 3)})
    test = next(shards.glob("test-*"))
    hidden = tmp_path / test.name

    # The probe's answers come after the list and the picture, and want the test images.
    test.rename(hidden)
    with pytest.raises(DarkroomError, match="shard is missing"):
        run_tiny(shards, out, finetune=PROBE_ONLY)
    assert not (out / "training").exists()

    hidden.rename(test)
    run_tiny(shards, out, finetune=PROBE_ONLY)
    whole = read_folder(out / "training")
    declared = [name for name, one in vars(FindingFiles).items() if isinstance(one, property)]
    # So few images give no curve, and it is said why.
    assert "too few" in read_held_back(FindingFiles(out / "training"), NO_CURVE)
    assert set(whole) == {getattr(FindingFiles(out), name).name for name in declared}

    test.rename(hidden)
    with pytest.raises(DarkroomError, match="shard is missing"):
        run_tiny(shards, out, finetune=PROBE_ONLY, seed=1)
    assert read_folder(out / "training") == whole
    assert not list(out.glob(".*partial*"))


@pytest.mark.slow
def test_the_history_grows_while_the_network_trains(
    tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `dvc plots` and an editor draw meanwhile: whole after each epoch, marked at the end."""
    from components.train.records import delivery

    seen = []
    write = delivery.write_history

    def watch(file: Path, *given: Any) -> None:
        write(file, *given)
        with file.open() as stream:
            seen.append([row["is_best"] for row in csv.DictReader(stream)])

    monkeypatch.setattr(delivery, "write_history", watch)
    shards = tmp_path / "shards"
    write_digits(shards, {"train": (6, 6), "val": (3, 3), "test": (3, 3)})
    run_tiny(shards, tmp_path / "out", finetune={"epochs": 2})
    assert seen[:-1] == [["0"] * 2, ["0"] * 3]
    assert sorted(seen[-1]) == ["0", "0", "1"]

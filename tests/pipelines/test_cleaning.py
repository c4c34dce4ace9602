"""What no run needs any more on the shared volume and in MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster import cleaning
from pipelines.steps.shared.memory import Memory
from pipelines.steps.shared.volume import Volume, read_place
from tests.pipelines.test_volume import BRANCH, list_images
from tests.pipelines.test_volume import call as fetch_images

RUNS = {"going": "RUNNING", "failed": "FAILED", "well": "SUCCEEDED"}


def test_the_cleaner_removes_what_no_run_needs(
    mount: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, branch: dict[str, int]
) -> None:
    volume = Volume(mount)
    made = {}
    for count, run in enumerate([*RUNS, "deleted", "newest"]):
        monkeypatch.setenv("DARKROOM_KFP_RUN_ID", run)
        branch["count"] = count + 1
        made[run] = read_place(fetch_images(mount, tmp_path / run / "images", **BRANCH))
        (mount / "runs" / run / "train").mkdir(parents=True)
    later = time.time() + 2 * cleaning.DAY_SECONDS
    os.utime(next(volume.find_uses(made["newest"]).iterdir()), (later - 1, later - 1))
    found = list(cleaning.find_folders(volume, RUNS, keep=1, now=later))
    unneeded = {one.folder for one in found if not one.reason}
    assert unneeded == {
        made["well"],
        made["deleted"],
        *(mount / "runs" / run for run in ("well", "deleted", "newest")),
    }
    half = mount / "images" / f"{'0' * 16}.partial"
    half.mkdir()
    for runs, stays in ((RUNS, True), ({"failed": "FAILED"}, False)):
        (one,) = [f for f in cleaning.find_folders(volume, runs, 0, later) if f.folder == half]
        assert bool(one.reason) == stays
    soon = cleaning.find_folders(volume, RUNS, keep=0)
    assert all(one.reason for one in soon if one.folder.parent.name == "images")
    for folder in unneeded:
        volume.remove(folder)
    assert {one for one in made.values() if one.is_dir()} == {
        made[run] for run in ("going", "failed", "newest")
    }
    # What was removed is fetched again, and the cache is told.
    branch["count"] = 3
    again = read_place(fetch_images(mount, tmp_path / "again" / "images", **BRANCH))
    assert again == made["well"]
    assert len(list_images(again)) == 3


def test_what_runs_remember_stays_while_it_is_used(mount: Path) -> None:
    volume, books = Volume(mount), mount / ".darkroom"
    now = time.time() + 2 * cleaning.MONTH_SECONDS
    for name in ("seen/used", "seen/of other code", "lines/nightly", "listings", "images/kept"):
        (books / name if "images" not in name else mount / name).mkdir(parents=True)
    memory = Memory(volume)
    (mount / "table").write_bytes(b"rows")
    memory.add_seen("used", mount / "table")
    (books / "seen" / "used" / "0123.partial").write_bytes(b"half")
    for name in ("lines/nightly/splits.parquet", "listings/kept.parquet", "listings/gone.parquet"):
        (books / name).write_bytes(b"table")
    assert not [one for one in cleaning.find_memories(volume) if not one.reason]
    os.utime(books / "seen" / "used", (now - 9, now - 9))
    found = list(cleaning.find_memories(volume, now))
    assert {str(one.folder.relative_to(books)) for one in found if not one.reason} == {
        "seen/used/0123.partial",
        "seen/of other code",
        "listings/gone.parquet",
    }
    for name in ("old", "last"):
        (mount / "shards" / name).mkdir(parents=True)
    (books / "lines" / "nightly" / "shards").write_text("last")
    for ago, stays in ((9, {"last"}), (2 * cleaning.MONTH_SECONDS, set())):
        os.utime(books / "lines" / "nightly", (now - ago, now - ago))
        folders = cleaning.find_folders(volume, {}, keep=0, now=now)
        assert {one.folder.name for one in folders if one.reason} == stays
    for one in found:
        if not one.reason:
            volume.remove(one.folder)
    assert len(memory.list_seen("used")) == 1
    left = {str(one.relative_to(books)) for one in books.rglob("*") if one.is_file()}
    assert left == {
        str(memory.list_seen("used")[0].relative_to(books)),
        "lines/nightly/shards",
        "lines/nightly/splits.parquet",
        "listings/kept.parquet",
    }


def test_clean_lists_first_and_closes_what_a_killed_pod_left_open(
    mount: Path, mlflow_store: Path, kfp: Any, call: Callable[..., Any]
) -> None:
    import mlflow

    (mount / ".darkroom").mkdir()
    (mount / "runs" / "gone").mkdir(parents=True)
    (mount / "runs" / "new").mkdir()  # of a run that KFP was not yet asked of, perhaps
    os.utime(mount / "runs" / "gone", (0, 0))
    mlflow.set_experiment("flowers")  # is not called as KFP's is
    client = mlflow.MlflowClient()
    ids = {
        run: client.create_run("1", tags={"darkroom.kfp_run_id": run}).info.run_id
        for run in ("r1", "r2")
    }
    kfp.runs = [{"run_id": "r1", "state": "FAILED"}, {"run_id": "r2", "state": "RUNNING"}]
    words = ("clean", "--volume", str(mount), "--set", "mlflow.experiment=flowers")
    code, out, _ = call(*words)
    assert code == 0
    assert "unneeded runs/gone" in out
    assert (mount / "runs" / "gone").is_dir()
    assert mlflow.get_run(ids["r1"]).info.status == "RUNNING"
    assert call(*words, "--remove")[0] == 0
    assert not (mount / "runs" / "gone").exists()
    assert (mount / "runs" / "new").exists()
    assert mlflow.get_run(ids["r1"]).info.status == "FAILED"
    assert mlflow.get_run(ids["r1"]).data.tags["darkroom.kfp_state"] == "FAILED"
    assert mlflow.get_run(ids["r2"]).info.status == "RUNNING"


def test_runs_of_every_experiment_of_the_namespace_are_asked_for(
    mount: Path, mlflow_store: Path, kfp: Any, call: Callable[..., Any]
) -> None:
    """The checkpoints of a run of another experiment were called unneeded, and removed."""
    (mount / ".darkroom").mkdir()
    kfp.experiments = [{"experiment_id": "e1", "display_name": "darkroom"}]
    kfp.runs = [
        {"run_id": "nightly", "state": "FAILED", "experiment_id": "e2", "namespace": "team-a"},
        {"run_id": "theirs", "state": "FAILED", "experiment_id": "e3", "namespace": "team-b"},
    ]
    for name in ("nightly", "theirs"):
        (mount / "runs" / name).mkdir(parents=True)
        os.utime(mount / "runs" / name, (0, 0))
    code, out, _ = call("clean", "--volume", str(mount))
    assert code == 0
    assert "unneeded" not in out
    assert "Experiment" not in out
    kfp.multi_user = True  # then a volume is one namespace's, and so are the runs on it
    _, out, _ = call("clean", "--volume", str(mount), "--namespace", "team-a")
    assert "stays    runs/nightly: its run is failed" in out
    assert "unneeded runs/theirs" in out
    assert not kfp.bodies("POST", "/experiments")


def test_what_cannot_be_removed_does_not_keep_the_rest(
    mount: Path, kfp: Any, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (mount / ".darkroom").mkdir()
    for name in ("theirs", "ours"):
        (mount / "runs" / name).mkdir(parents=True)
        os.utime(mount / "runs" / name, (0, 0))
    remove = Volume.remove

    def refuse(self: Volume, folder: Path) -> None:
        if folder.name == "theirs":
            raise PermissionError(13, "Permission denied")
        remove(self, folder)

    monkeypatch.setattr(Volume, "remove", refuse)
    code, out, err = call("clean", "--volume", str(mount), "--remove")
    assert code == 1
    assert "removed  runs/ours" in out
    assert "cannot be removed: runs/theirs (Permission denied)" in err


def test_without_mlflow_nothing_is_made_to_look_into(
    kfp: Any, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, _, err = call("clean", "--volume", str(tmp_path / "gone"))
    assert (code, err.count("\n")) == (1, 1)
    assert "mlflow.db: no MLflow database here" in err
    assert list(tmp_path.iterdir()) == []


def test_no_other_folder_is_taken_for_a_volume(
    tmp_path: Path, kfp: Any, call: Callable[..., Any]
) -> None:
    code, _, err = call("clean", "--volume", str(tmp_path), "--remove")
    assert code == 1
    assert "no volume of Darkroom's" in err

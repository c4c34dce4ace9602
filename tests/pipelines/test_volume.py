"""The shared volume: two runs at once, what was removed by hand, a cleaner, names of all kinds."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.common.errors import DarkroomError
from pipelines.cluster import cleaning
from pipelines.steps import fetch as fetching
from pipelines.steps.bundles import ELSEWHERE, check_place, find_input
from pipelines.steps.fetch import fetch
from pipelines.steps.source import Source
from pipelines.steps.volume import Volume, compute_folder_digest, read_place
from tests.pipelines.conftest import Stub

INGEST = {"source": "digits", "sha256": ""}
MLFLOW = {"experiment": "darkroom", "registered_model": "darkroom"}
NOWHERE = {"source": "", "revision": "", "path": "data/images", "images": "auto"}
BRANCH = {"source": "https://host/photos.git", "revision": "main", "path": "data/images"}


@pytest.fixture(params=["volume", 'the team\'s "photos" äß #2'])
def mount(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


@pytest.fixture
def branch(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return what a branch holds, images of a number; each fetch takes it as it is then."""
    holds = {"count": 3}

    def look(_: Any) -> Source:
        return Source(f"of {holds['count']}", "")

    def get(_: Any, folder: Path) -> None:
        (folder / "class").mkdir(parents=True)
        for number in range(holds["count"]):
            (folder / "class" / f"{number}.png").write_bytes(b"png %d" % number)

    monkeypatch.setattr(fetching, "look", look)
    monkeypatch.setattr(fetching, "copy_project", get)
    return holds


def call(mount: Path, artifact: Path, **wanted: str) -> str:
    sections = {"fetch": NOWHERE | wanted, "ingest": INGEST, "mlflow": MLFLOW}
    return fetch({"images": Stub(artifact), **sections}, str(mount))


def list_images(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))


def test_the_artifact_points_at_the_images_and_a_pinned_source_is_fetched_once(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = call(mount, tmp_path / "a" / "images")
    folder = read_place(first)
    assert folder.is_relative_to(mount)
    assert len(list_images(folder)) == 1797
    assert [one.name for one in (tmp_path / "a" / "images").iterdir()] == [ELSEWHERE]
    monkeypatch.setattr(fetching, "bring", None)  # would fail if it were called
    assert call(mount, tmp_path / "b" / "images") == first  # the same key of the cache
    assert find_input({"place": first}, "images") == folder


def test_a_moved_branch_leaves_the_folder_of_the_run_that_reads_it(
    mount: Path, tmp_path: Path, branch: dict[str, int]
) -> None:
    old = read_place(call(mount, tmp_path / "a" / "images", **BRANCH))
    branch["count"] = 5
    new = read_place(call(mount, tmp_path / "b" / "images", **BRANCH))
    assert (len(list_images(old)), len(list_images(new))) == (3, 5)
    branch["count"] = 3
    assert read_place(call(mount, tmp_path / "c" / "images", **BRANCH)) == old


def test_two_runs_that_write_the_same_at_once_end_with_one_whole_folder(mount: Path) -> None:
    volume, barrier = Volume(mount), threading.Barrier(2)
    places: list[Path] = []

    def write() -> None:
        with volume.writing_once("images", "", compute_folder_digest, places) as folder:
            folder.mkdir()
            for number in range(20):
                (folder / f"{number}.png").write_bytes(b"%d" % number)
            barrier.wait(10)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(places)) == 1
    assert len(list_images(places[0])) == 20
    assert [one for one in (mount / "images").iterdir() if one != places[0]] == []


def test_a_write_that_breaks_off_leaves_nothing_that_is_found(mount: Path) -> None:
    volume = Volume(mount)

    def write() -> None:
        with volume.writing_once("images", "", compute_folder_digest, []) as folder:
            folder.mkdir()
            (folder / "half.png").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(DarkroomError, match=r"is full \([\d,]+ bytes are free\): enlarge"):
        write()
    assert list((mount / "images").iterdir()) == []
    assert volume.list_inventory() == []


@pytest.mark.parametrize("gone", ["images", "shards", "all"])
def test_what_somebody_removed_is_seen_and_made_anew(
    mount: Path, tmp_path: Path, branch: dict[str, int], gone: str
) -> None:
    first = call(mount, tmp_path / "a" / "images", **BRANCH)
    volume, images = Volume(mount), read_place(first)
    with volume.writing_once("shards", images.name, compute_folder_digest, []) as folder:
        folder.mkdir()
        (folder / "shard").write_bytes(b"shard")
    assert call(mount, tmp_path / "b" / "images", **BRANCH) == first
    if gone == "all":
        shutil.rmtree(mount)
        mount.mkdir()
    else:
        shutil.rmtree(mount / gone)
    again = call(mount, tmp_path / "c" / "images", **BRANCH)
    assert read_place(again) == images
    # Images that are back leave the cache right; what was made of them is lost with its folder.
    assert (again == first) == (gone == "images")
    assert list_images(images) == ["class/0.png", "class/1.png", "class/2.png"]
    assert call(mount, tmp_path / "d" / "images", **BRANCH) == again


def test_other_images_keep_their_generation(
    mount: Path, tmp_path: Path, branch: dict[str, int]
) -> None:
    first = call(mount, tmp_path / "a" / "images", **BRANCH)
    branch["count"] = 4
    other = call(mount, tmp_path / "b" / "images", **BRANCH)
    shutil.rmtree(read_place(first))
    assert call(mount, tmp_path / "c" / "images", **BRANCH) == other


def test_a_place_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="is gone from the shared volume"):
        check_place(tmp_path / "images" / "ab")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_volume_of_roots_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(DarkroomError, match="volume-owner"):
        Volume(tmp_path).check_writable()


RUNS = {"going": "RUNNING", "failed": "FAILED", "well": "SUCCEEDED"}


def test_the_cleaner_removes_what_no_run_needs(
    mount: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, branch: dict[str, int]
) -> None:
    volume = Volume(mount)
    made = {}
    for count, run in enumerate([*RUNS, "deleted", "newest"]):
        monkeypatch.setenv("DARKROOM_KFP_RUN_ID", run)
        branch["count"] = count + 1
        made[run] = read_place(call(mount, tmp_path / run / "images", **BRANCH))
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
    again = read_place(call(mount, tmp_path / "again" / "images", **BRANCH))
    assert again == made["well"]
    assert len(list_images(again)) == 3


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


def test_no_other_folder_is_taken_for_a_volume(
    tmp_path: Path, kfp: Any, call: Callable[..., Any]
) -> None:
    code, _, err = call("clean", "--volume", str(tmp_path), "--remove")
    assert code == 1
    assert "no volume of Darkroom's" in err


def test_mlflow_that_does_not_answer_ends_the_first_task(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=lambda _: None))
    with pytest.raises(SystemExit):
        call(tmp_path, tmp_path / "images")
    error = capsys.readouterr().err
    assert "error: MLflow at http://127.0.0.1:9 does not answer" in error
    assert not (tmp_path / "images").exists()

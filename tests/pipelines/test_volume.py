"""The shared volume: two runs at once, what was removed by hand, a cleaner, names of all kinds."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.common.errors import DarkroomError
from pipelines.steps import fetch as fetching
from pipelines.steps.bundles import ELSEWHERE, check_place, find_input
from pipelines.steps.fetch import fetch
from pipelines.steps.shared.memory import MOST_TABLES, Memory
from pipelines.steps.shared.volume import Volume, compute_folder_digest, read_place
from tests.pipelines.conftest import Stub

INGEST = {"source": "digits", "sha256": ""}
MLFLOW = {"experiment": "darkroom", "registered_model": "darkroom"}
NOWHERE = {"source": "", "revision": "", "path": "data/images", "images": "auto"}
BRANCH = {"source": "https://host/photos.git", "revision": "main", "path": "data/images"}


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


@pytest.mark.parametrize("kind", ["images", "shards"])
@pytest.mark.parametrize("how", ["emptied", "one file"])
def test_a_folder_of_which_a_part_was_removed_is_not_trusted(
    mount: Path, tmp_path: Path, branch: dict[str, int], kind: str, how: str
) -> None:
    """A folder that is there, but not whole, was taken for what the cache promised."""
    first = call(mount, tmp_path / "a" / "images", **BRANCH)
    volume, images = Volume(mount), read_place(first)

    def write_shards() -> Path:
        placed: list[Path] = []
        with volume.writing_once("shards", images.name, compute_folder_digest, placed) as folder:
            folder.mkdir()
            for number in range(3):
                (folder / f"{number}.tfrecord").write_bytes(b"shard %d" % number)
        return placed[0]

    shards = write_shards()
    whole = {folder: sorted(folder.rglob("*")) for folder in (images, shards)}
    broken = images if kind == "images" else shards
    for file in [one for one in whole[broken] if one.is_file()][: 1 if how == "one file" else None]:
        file.unlink()
    again = call(mount, tmp_path / "b" / "images", **BRANCH)
    assert read_place(again) == images
    assert (again == first) == (kind == "images")  # else the tasks behind get another key
    assert write_shards() == shards
    assert {folder: sorted(folder.rglob("*")) for folder in whole} == whole
    assert call(mount, tmp_path / "c" / "images", **BRANCH) == again
    assert [one for one in (mount / kind).iterdir() if one != broken] == []


@pytest.mark.parametrize("damage", ["{", "[]", "{}", "\xff"])
def test_books_that_somebody_damaged_are_written_anew(
    mount: Path, tmp_path: Path, branch: dict[str, int], damage: str
) -> None:
    first = call(mount, tmp_path / "a" / "images", **BRANCH)
    for file in (mount / ".darkroom").rglob("*"):
        if file.is_file():
            file.write_bytes(damage.encode("latin-1"))
    again = call(mount, tmp_path / "b" / "images", **BRANCH)
    assert read_place(again) == read_place(first)
    assert call(mount, tmp_path / "c" / "images", **BRANCH) == again


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


def test_tables_of_many_nights_become_one(mount: Path, tmp_path: Path) -> None:
    memory, table = Memory(Volume(mount)), tmp_path / "table"

    def join(tables: Sequence[Path], target: Path) -> int:
        target.write_text(" ".join(sorted(one.read_text() for one in tables)))
        return len(tables)

    for number in range(MOST_TABLES + 1):
        memory.put_together("recipe", join)
        table.write_text(f"{number:02d}")
        memory.add_seen("recipe", table)
    assert len(memory.list_seen("recipe")) == MOST_TABLES + 1
    memory.put_together("recipe", join)
    (one,) = memory.list_seen("recipe")
    assert one.read_text().split() == [f"{number:02d}" for number in range(MOST_TABLES + 1)]
    assert not memory.list_seen("another")


def test_books_that_cannot_be_written_end_no_task(
    mount: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = Memory(Volume(mount))
    (mount / ".darkroom").write_text("in the way")
    (tmp_path / "splits.parquet").write_text("splits")
    memory.add_seen("recipe", tmp_path / "splits.parquet")
    memory.keep_shards("line", tmp_path)
    told = capsys.readouterr().out
    assert told.count("cannot be written") == 2
    assert (memory.list_seen("recipe"), memory.find_splits("line")) == ([], None)
    assert memory.find_shards("line") is None

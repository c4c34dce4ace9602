"""Nothing that Darkroom did not write is removed or replaced: not in the end, nor by a kill."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from components.common.files.ownership import LEDGER, STAMP, check_apart, writing_as
from components.common.files.writing import remove_written, write_text, writing, writing_folder
from tests.trees import NAMES, put, read_tree

OURS = {"out", "out.csv", "other.csv", "mine", LEDGER}


def write_two(target: Path, text: str = "ours", room: str = "ingest") -> None:
    with writing_folder(target, room) as folder:
        put(folder / "a" / "1.png", text)
        put(folder / "b" / "2.png", text)


def test_what_a_room_wrote_it_may_replace(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for text in ("first", "second"):
        write_two(target, text)
        assert (target / "a" / "1.png").read_text() == text
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208 - hidden names as well
    lines = (target / STAMP).read_text().splitlines()
    assert json.loads(lines[0])["room"] == "ingest"
    assert [json.loads(line.split(" ", 2)[2]) for line in lines[1:]] == ["a/1.png", "b/2.png"]


def test_the_list_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_two(tmp_path / name)
    assert (tmp_path / "one" / STAMP).read_bytes() == (tmp_path / "two" / STAMP).read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    inside=st.sets(st.sampled_from(NAMES)),
    beside=st.sets(st.sampled_from(NAMES)),
    written=st.booleans(),
    fails=st.booleans(),
)
def test_files_of_others_in_and_around_a_folder_survive(
    tmp_path_factory: pytest.TempPathFactory,
    inside: set[str],
    beside: set[str],
    written: bool,
    fails: bool,
) -> None:
    home = tmp_path_factory.mktemp("home")
    target = home / "out"
    if written:
        write_two(target)
    mine = [target / name for name in sorted(inside)] + [home / name for name in sorted(beside)]
    kept: dict[Path, str] = {}
    for number, file in enumerate(mine):
        try:
            put(file, f"mine {number}")
            kept[file] = f"mine {number}"
        except (OSError, UnicodeEncodeError):  # `a` and `a/1.png`, say
            continue
    refused = any(file.is_relative_to(target) for file in kept)
    try:
        with writing_folder(target, "ingest") as folder:
            put(folder / "c.png", "ours")
            if fails:
                raise KeyError
    except KeyError:
        assert not refused
    except DarkroomError as error:
        assert refused
        assert "did not write" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert not refused
        assert not fails
        assert (target / "c.png").read_text() == "ours"
    for file, text in kept.items():
        assert file.read_text() == text
    names = {file.relative_to(home).parts[0] for file in kept}
    assert set(os.listdir(home)) <= names | {"out"}, "nothing of ours is left beside it"  # noqa: PTH208


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: put(folder / "a" / "1.png", "edit"),  # of the same length
        lambda folder: put(folder / "c" / "3.png"),
        lambda folder: (folder / "mine").mkdir(),
        lambda folder: (folder / "link").symlink_to("/nowhere"),
        lambda folder: (folder / "link").symlink_to(folder.parent),
        lambda folder: os.mkfifo(folder / "pipe"),
        lambda folder: (folder / STAMP).unlink(),
        lambda folder: (folder / STAMP).write_bytes(b"\xff\x00"),
        lambda folder: ((folder / "a/1.png").unlink(), (folder / "a/1.png").mkdir()),
    ],
)
def test_any_change_of_a_folder_is_refused(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    target = tmp_path / "out"
    write_two(target)
    change(target)
    before = sorted(target.rglob("*"))
    with pytest.raises(DarkroomError, match=r"out: holds .* nothing was touched\. "):
        write_two(target, "more")
    assert sorted(target.rglob("*")) == before


def test_empty_deleted_linked_and_looked_at_is_fine(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    write_two(target)
    (target / "a" / "1.png").unlink()
    (target / "b" / ".DS_Store").write_text("where the window was")
    write_two(target)
    assert (target / "b" / ".DS_Store").read_text() == "where the window was"
    # DVC puts links to its cache in the place of files.
    (target / "a" / "1.png").rename(tmp_path / "cached")
    (target / "a" / "1.png").symlink_to(tmp_path / "cached")
    write_two(target, "new")
    assert (tmp_path / "cached").read_text() == "ours"
    assert (target / "a" / "1.png").read_text() == "new"
    # A folder on a larger disk: the link stays.
    link = tmp_path / "link"
    link.symlink_to(target, target_is_directory=True)
    write_two(link, "linked")
    assert link.is_symlink()
    assert (target / "a" / "1.png").read_text() == "linked"


def test_a_room_does_not_replace_what_another_wrote(tmp_path: Path) -> None:
    write_two(tmp_path / "out")
    with pytest.raises(DarkroomError, match="was written by ingest, so evaluate does not replace"):
        write_two(tmp_path / "out", room="evaluate")


def test_a_command_does_not_replace_a_file_that_another_wrote(tmp_path: Path) -> None:
    target = tmp_path / "history.csv"
    for text in ("first", "second"):
        with writing_as("train"):
            write_text(target, text)
    said = "was written by train, so predict suggest does not replace it"
    for damaged in (False, True):
        with (
            writing_as("predict suggest"),
            pytest.raises(DarkroomError, match=said),
            writing(target, damaged=damaged),
        ):
            pass
    assert target.read_text() == "second"
    target.unlink()  # its name is free then
    with writing_as("predict suggest"):
        write_text(target, "third")
    with writing_as("train"), pytest.raises(DarkroomError, match="was written by predict suggest"):
        write_text(target, "fourth")
    # A list of before says nothing of who wrote a file, and then any may.
    ledger = tmp_path / LEDGER
    before = [" ".join(line.split()[:3]) for line in ledger.read_text().splitlines()]
    ledger.write_text("\n".join(before) + "\n")
    with writing_as("train"):
        write_text(target, "fourth")
    assert target.read_text() == "fourth"


def test_what_comes_while_a_folder_is_written_is_seen(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_two(target)
    with pytest.raises(DarkroomError, match=r"mine\.jpg"), writing_folder(target, "ingest"):
        put(target / "mine.jpg")
    assert (target / "mine.jpg").read_text() == "mine"
    assert (target / "a" / "1.png").read_text() == "ours"


# --- single files ------------------------------------------------------------------------------


def test_a_file_is_replaced_only_as_we_wrote_it(tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    for text in ("first", "second", "first"):
        write_text(target, text)
        assert target.read_text() == text
    for text in ("fifth", "mine, and longer"):
        target.write_text(text)
        with pytest.raises(DarkroomError, match="did not write it or it has changed since"):
            write_text(target, "third")
        assert target.read_text() == text
    target.write_text("")
    write_text(target, "third")
    with writing(target) as temporary:
        assert temporary.name == target.name
        temporary.write_text("fourth")
    assert sorted(os.listdir(tmp_path)) == [LEDGER, "answers.csv"]  # noqa: PTH208


@pytest.mark.parametrize(
    "kind", ["folder", "link to folder", "dead link", "pipe", "device", "mine"]
)
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, kind: str) -> None:
    target, other = tmp_path / "out.csv", tmp_path / "other"
    if kind == "folder":
        target.mkdir()
    elif kind == "link to folder":
        other.mkdir()
        target.symlink_to(other)
    elif kind == "dead link":
        target.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(target)
    elif kind == "device":
        target.symlink_to("/dev/null")
    else:
        other.write_text("mine")
        target.symlink_to(other)
    before = target.lstat().st_ino
    with pytest.raises(DarkroomError, match=r"out\.csv: "):
        write_text(target, "ours")
    assert target.lstat().st_ino == before
    assert not other.is_file() or other.read_text() == "mine"


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    target, cached = tmp_path / "out.csv", tmp_path / "cached"
    write_text(target, "ours")
    target.rename(cached)
    target.symlink_to(cached)
    write_text(target, "new")
    assert cached.read_text() == "ours"
    assert not target.is_symlink()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    put(tmp_path / "file")
    with pytest.raises(DarkroomError, match=r"file.*cannot be (written|read) "):
        write_text(tmp_path / "file" / "out.csv", "ours")


def test_only_what_was_written_is_removed(tmp_path: Path) -> None:
    write_text(tmp_path / "work" / "run.json", "ours")
    write_text(tmp_path / "work" / "trial" / "part.npz", "ours")
    put(tmp_path / "work" / "trial" / "notes.txt")
    remove_written(tmp_path / "work")
    assert list(read_tree(tmp_path)) == ["work/trial/notes.txt"]
    (tmp_path / "work" / "trial" / "notes.txt").unlink()
    remove_written(tmp_path / "work" / "trial")
    assert not (tmp_path / "work" / "trial").exists()


# --- what earlier versions wrote ---------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose lock the real DVC wrote: files without lists, made and read."""
    folder = tmp_path_factory.mktemp("project")
    write = "mkdir -p {0}/a && echo 1 > {0}/a/b.png && echo 2 > {0}/a.png && echo 3 > {0}.csv"
    write += " # python -m components.ingest"
    made = {"cmd": write.format("out"), "outs": ["out", "out.csv"]}
    read = {"cmd": "true", "deps": ["mine", "mine.csv"]}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"made": made, "read": read}}))
    dvc = str(Path(sys.executable).with_name("dvc"))
    git = ["git", "-c", "user.email=a@example.com", "-c", "user.name=A"]
    for words in (
        ["sh", "-c", write.format("mine")], ["git", "init", "-q"], [dvc, "init", "-q"],
        [dvc, "repro", "-q"], ["git", "add", "-A"], [*git, "commit", "-qm", "made"],
    ):  # fmt: skip
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("place", ["now", "earlier", "nowhere"])
def test_what_dvc_recorded_as_an_output_is_ours(project: Path, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "clone"
    shutil.copytree(project, folder)
    lock = folder / "dvc.lock"
    if place != "now":  # as after `git pull`
        lock.write_text(lock.read_text().replace("md5: ", "md5: 00"))
    if place == "nowhere":
        shutil.rmtree(folder / ".git")
    for name in ("out", "mine"):
        if name == "out" and place != "nowhere":
            with pytest.raises(DarkroomError, match="evaluate did not write"):
                write_two(folder / name, room="evaluate")
            with writing_as("evaluate"), pytest.raises(DarkroomError, match="did not write it"):
                write_text(folder / f"{name}.csv", "theirs")
            write_two(folder / name)
            write_text(folder / f"{name}.csv", "ours")
            assert (folder / f"{name}.csv").read_text() == "ours"
            continue
        with pytest.raises(DarkroomError, match=r"remove them$"):
            write_two(folder / name)
        with pytest.raises(DarkroomError, match="Darkroom did not write it"):
            write_text(folder / f"{name}.csv", "ours")
        assert (folder / name / "a" / "b.png").read_text() == "1\n"
        assert (folder / f"{name}.csv").read_text() == "3\n"


# --- kill --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["plain", "dots", "link", "link in it", "slash"])
@pytest.mark.parametrize("inner", ["", "mine", "mine/deeper"])
def test_what_is_read_lies_apart_from_what_is_written(
    tmp_path: Path, spelling: str, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = Path("data/images")
    (output / inner).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    source = output / inner
    if spelling == "dots":
        source = Path("data/../data/images/..", "images", inner)
    elif spelling == "link":
        Path("link").symlink_to("data")
        source = Path("link/images", inner)
    elif spelling == "link in it":
        source = output / inner / "link"
        source.symlink_to(tmp_path / "elsewhere")
    elif spelling == "slash":
        source = Path(f"{tmp_path}//data/images/{inner}/")
    with pytest.raises(DarkroomError, match=r"nothing was touched\. Move it elsewhere"):
        check_apart({"images": source}, {"shards": output})
    with pytest.raises(DarkroomError, match="nothing was touched"):
        check_apart({"images": output}, {"shards": source})
    check_apart({"images": Path("data/images2")}, {"shards": output})
    check_apart({"images": Path("elsewhere")}, {"shards": output})


def test_random_order_of_listing_is_no_matter(tmp_path: Path) -> None:
    names = [f"{number}/{number}.png" for number in range(30)]
    for place in ("one", "two"):
        random.Random(place).shuffle(names)
        with writing_folder(tmp_path / place, "ingest") as folder:
            for name in names:
                put(folder / name, name)
    assert (tmp_path / "one" / STAMP).read_bytes() == (tmp_path / "two" / STAMP).read_bytes()

"""What the words of a command line name: files, folders, lists, pipes; mistakes come first."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.predict.listing import list_images, read_words


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what is said where the model, which is not there, was not yet looked for."""
    with pytest.raises(SystemExit) as caught:
        run_room("predict", ["--model", "nowhere.keras", *words])
    told = capsys.readouterr()
    assert caught.value.code in (1, 2)
    assert told.out == ""
    assert "nowhere.keras" not in told.err
    return told.err.splitlines()[-1]


@pytest.mark.parametrize("joint", ["\n", "\r\n", "\0"])
def test_lines_of_a_list_are_paths_whatever_they_look_like(tmp_path: Path, joint: str) -> None:
    lines = ["--output=stolen.csv", "-", "@other.txt", "--help", " a b .png ", "", "é.png"]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + joint.join(lines).encode())
    found = read_words([f"@{tmp_path / 'list.txt'}"])
    assert found == [Path(line) for line in lines if line]


def test_a_listing_sets_no_option(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text(f"--output=stolen.csv\n--unsure-below=0.9\n{photos / '0.png'}\n")
    run_room("predict", ["--model", str(model), "@list.txt"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert not Path("stolen.csv").exists()
    assert [row["path"] for row in rows] == [
        "./--output=stolen.csv", "./--unsure-below=0.9", str(photos / "0.png"),
    ]  # fmt: skip
    assert [bool(row["label"]) for row in rows] == [False, False, True]
    assert rows[2]["unsure"] == ""


def test_a_file_whose_name_begins_as_a_list(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photos / "0.png", "@at.png")
    assert read_words(["@at.png"]) == [Path("@at.png")]
    assert read_words(["./@at.png"]) == [Path("@at.png")]


def test_standard_input_is_an_image_or_a_list(
    photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (photos / "0.png").read_bytes()
    give(monkeypatch, data)
    assert read_words(["-"]) == [data]
    for word in ("-", "@-"):
        give(monkeypatch, b"a.png\nb.png\n")
        assert read_words([word]) == [Path("a.png"), Path("b.png")]
    give(monkeypatch, data[:40])  # a cut picture is no list of paths
    assert read_words(["-"]) == [data[:40]]
    give(monkeypatch, data)
    run_room("predict", ["--model", str(model), "-", str(photos / "2.png")])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["path"] for row in rows] == ["-", str(photos / "2.png")]
    assert all(row["label"] for row in rows)
    give(monkeypatch, b"")
    with pytest.raises(DarkroomError, match="standard input: nothing came"):
        read_words(["-"])


def test_a_pipe_of_the_shell_is_read_and_another_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a.png\n")
    os.close(writer)
    assert read_words([f"@/dev/fd/{reader}"]) == [Path("a.png")]
    os.close(reader)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("photo.jpg")
    for word in ("photo.jpg", "@photo.jpg"):
        assert f"error: {word}: a pipe, socket or device, not" in refuse(capsys, word)
    shutil.move("photo.jpg", photos / "pipe.jpg")
    images, skipped = list_images([photos])
    assert photos / "pipe.jpg" not in images
    assert skipped["that is no file"] == 1


def test_names_that_are_not_utf8(tmp_path: Path, photos: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    shutil.copy(photos / "0.png", odd)
    (tmp_path / "list").write_bytes(os.fsencode(odd) + b"\n")
    assert read_words([f"@{tmp_path / 'list'}"]) == [Path(odd)]
    (tmp_path / "list").write_bytes(b"a.png\nnowhere\xff.png\n")
    with pytest.raises(DarkroomError, match=r"list, line 2: nowhere\\xff.png is not UTF-8"):
        read_words([f"@{tmp_path / 'list'}"])
    (tmp_path / "list").write_bytes("a.png\n".encode("utf-16"))
    with pytest.raises(DarkroomError, match="in UTF-16; save it as UTF-8"):
        read_words([f"@{tmp_path / 'list'}"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--unsure-below", "2"], "2 is no probability: legal are 0 to 1"),
        (["--unsure-below", "nan"], "nan is no probability: legal are 0 to 1"),
        (["--unsure-below", "-0.1"], "-0.1 is no probability: legal are 0 to 1"),
        (["--output", "photos"], "--output photos: is a folder; give the name of a file in it"),
        (["--output", "photos/0.png/a.csv"], "photos/0.png is no folder"),
        (["--output", "answers.txt"], "legal are names that end in .csv or .parquet"),
        (["@absent.txt"], "neither a file of this name, nor a list absent.txt"),
        (["@photos"], "photos is a folder, not a list of paths"),
        (["@photos/0.png"], "photos/0.png is a picture, not a list of paths"),
        (["@empty.txt"], "no images in"),
    ],
)
def test_mistakes_are_told_before_the_model_is_loaded(
    words: list[str],
    told: str,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("empty.txt").write_text("\n \n")
    images = [] if words[0].startswith("@") else ["photos"]
    assert told in refuse(capsys, *images, *words)


def test_images_of_a_folder_are_those_that_training_accepts(
    photos: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name or by content, through links but not in circles; what is skipped is counted."""
    picture = (photos / "0.png").read_bytes()
    for name in ("scan", "a.jfif", "b.JPEG", "export.tmp"):
        (photos / name).write_bytes(picture)
    (photos / "more").symlink_to(photos / "sub", target_is_directory=True)
    (photos / "sub" / "back").symlink_to(photos, target_is_directory=True)
    for name in ("notes.txt", "labels.csv", "more.txt", "README"):
        (photos / name).write_text("no image")
    images, skipped = list_images([photos])
    names = {str(Path(str(one)).relative_to(photos)) for one in images}
    assert names >= {"scan", "a.jfif", "b.JPEG", "export.tmp", "more/1.png", "broken.jpg"}
    assert skipped == Counter({".txt": 2, ".csv": 1, "without a suffix": 1, "hidden": 1})
    output = tmp_path / "answers.csv"
    run_room("predict", ["--model", str(model), str(photos), "--output", str(output)])
    rows = list(csv.DictReader(output.open()))
    assert len(rows) == len(images)
    assert sum(not row["label"] for row in rows) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "; 5 files skipped: 2 .txt, 1 " in last

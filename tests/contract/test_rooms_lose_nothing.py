"""Files of others, in and around every path that a room writes, survive whatever the room does.

Also at any moment of a kill: tests/common/files does that to the one place where files are moved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from components import STAGES
from components.common.cli import run_room
from tests.trees import NAMES, put, read_tree

ROOT = Path(__file__).parents[2]
# The others take minutes; they refuse before they begin, as these do.
QUICK = {
    "ingest": "--source photos --images data/images",
    "validate": "--images photos --manifest data/manifest.parquet --validation reports/v.json "
    "--quarantine reports/q.csv --data-docs reports/docs",
    "preprocess": "--images photos --manifest data/manifest.parquet --splits data/splits.parquet "
    "--shards data/shards",
}


def list_paths() -> Iterator[tuple[str, str, bool]]:
    """Yield room, output and whether it is a folder, of all rooms that DVC runs."""
    for room in STAGES:
        for field in dataclasses.fields(importlib.import_module(f"components.{room}.spec").Outputs):
            yield room, field.name, field.metadata["folder"]


def create_words(room: str, **other: Path) -> list[str]:
    """Return the flags of a room: inputs in `in`, outputs in `out`, but for what is named."""
    spec = importlib.import_module(f"components.{room}.spec")
    words = ["--params", str(ROOT / "params.yaml")]
    for kind, place in ((spec.Inputs, "in"), (spec.Outputs, "out")):
        for field in dataclasses.fields(kind):
            path = other.get(field.name, Path(place, field.name))
            words += ["--" + field.name.replace("_", "-"), str(path)]
    return words


def refuse(room: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        run_room(room, words)
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(("room", "name", "is_folder"), list_paths())
def test_what_lies_in_an_outputs_place_is_refused_at_once(  # noqa: PLR0917
    room: str,
    name: str,
    is_folder: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("out", name, "photo.jpg") if is_folder else Path("out", name))
    before = read_tree(tmp_path)
    said = refuse(room, create_words(room), capsys)
    assert "nothing was touched" in said
    assert f"out/{name}" in said
    # Also a folder where a file belongs, and the other way round.
    shutil.rmtree("out")
    put(Path("out", name) if is_folder else Path("out", name, "photo.jpg"))
    assert f"out/{name}: is " in refuse(room, create_words(room), capsys)
    assert set(read_tree(tmp_path)) <= set(before) | {f"out/{name}", f"out/{name}/photo.jpg"}


@pytest.mark.parametrize(("room", "name", "is_folder"), list_paths())
def test_inputs_lie_apart_from_outputs(  # noqa: PLR0917
    room: str,
    name: str,
    is_folder: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for field in dataclasses.fields(importlib.import_module(f"components.{room}.spec").Inputs):
        output = Path("out", name)
        places = [output / "mine", Path("out", "..", "out", name, "a", "b")]
        if field.metadata["same_as"] != name:
            places.append(output)
        for place in places:
            said = refuse(room, create_words(room, **{field.name: place}), capsys)
            assert f"{field.name} " in said
            assert "nothing was touched" in said
            inside = create_words(room, **{field.name: output, name: place})
            assert "nothing was touched" in refuse(room, inside, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("room", [room for room in STAGES if room != "ingest"])
def test_a_pipe_in_the_place_of_what_is_read_is_refused_at_once(
    room: str,
    inside: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Opening one would last until somebody writes into it. Of photos the rooms say it one by one.

    What lies in a folder is named by its own path.
    """
    monkeypatch.chdir(tmp_path)
    for field in dataclasses.fields(importlib.import_module(f"components.{room}.spec").Inputs):
        place = Path("in", field.name, "deep", "pipe") if inside else Path("in", field.name)
        if inside and field.name == "images":
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(place)
        said = refuse(room, create_words(room), capsys)
        assert f"error: {place}: a pipe, socket or device, not a file" in said
        shutil.rmtree("in")


def write_images(folder: Path) -> None:
    for label, colour in (("cat", 90), ("dog", 200)):
        for number in range(14):
            (folder / label).mkdir(parents=True, exist_ok=True)
            image = Image.new("L", (40, 40), colour + number)
            image.putpixel((number, 3), 255 - colour)
            image.save(folder / label / f"{number}.png")


def test_a_command_replaces_nothing_of_another_command_or_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    write_images(Path("photos"))
    shutil.make_archive("photos", "zip", "photos")
    sha256 = hashlib.sha256(Path("photos.zip").read_bytes()).hexdigest()
    text = Path("params.yaml").read_text().replace("source: digits", "source: photos.zip")
    Path("params.yaml").write_text(text.replace('sha256: ""', f"sha256: {sha256}"))
    run_room("ingest", QUICK["ingest"].split())
    outline = ["outline", "photos.zip", "--folder"]
    run_room("ingest", [*outline, "seen", "--facts", "facts.json"])
    before = read_tree(tmp_path)
    said = refuse("validate", ["look", "photos", "--json", "facts.json"], capsys)
    assert "facts.json: was written by ingest outline, so validate look does not replace" in said
    said = refuse("ingest", [*outline, "data/images", "--facts", "facts.json"], capsys)
    assert "data/images: was written by ingest, so ingest outline does not replace it" in said
    assert read_tree(tmp_path) == before


@pytest.mark.parametrize("seed", range(2))
def test_quick_rooms_leave_all_else_as_it_was(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rooms succeed, fail and run again; random files lie around their paths, then in them."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(seed)
    write_images(Path("photos"))
    params = (ROOT / "params.yaml").read_text().replace("val_fraction: 0.15", "val_fraction: 0.3")
    Path("params.yaml").write_text(params.replace("test_fraction: 0.15", "test_fraction: 0.3"))
    words = {room: flags.split() for room, flags in QUICK.items()}
    mine: dict[Path, str] = {}

    def add(*places: str) -> None:
        for name in draw.sample(NAMES, 5):
            file = Path(draw.choice(places), name)
            if not file.exists() and file not in mine:
                try:
                    put(file, f"mine {len(mine)}")
                    mine[file] = f"mine {len(mine)}"
                except OSError:  # in a file, or a folder of that name
                    continue

    def check() -> None:
        for file, text in mine.items():
            assert file.read_text() == text, file

    write = {"ingest": "data/images", "validate": "reports/docs", "preprocess": "data/shards"}
    for room in QUICK:
        add("data", "reports", ".")
        for _ in range(2):  # what it wrote it may replace
            run_room(room, words[room])
            check()
    for room in QUICK:
        bad = [word.replace("photos", "nowhere") for word in words[room]]
        if room != "ingest":
            with pytest.raises(SystemExit):
                run_room(room, [word.replace("data/manifest", "no/manifest") for word in bad])
        check()
        add(write[room], f"{write[room]}/cat")
        with pytest.raises(SystemExit):
            run_room(room, words[room])
        check()


def test_a_killed_command_takes_nothing_with_it(tmp_path: Path) -> None:
    words = ["--source", "out/images", "--images", "out/images"]
    command = [sys.executable, "-m", "components.ingest", *words]
    command += ["--params", str(ROOT / "params.yaml")]
    for name in NAMES:
        if not (tmp_path / "out" / name).exists():
            try:
                put(tmp_path / "out" / name)
            except OSError:
                continue
    before = read_tree(tmp_path)
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL)
    time.sleep(random.uniform(0.5, 3))
    process.kill()
    process.wait()
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    after = read_tree(tmp_path)
    assert before.items() <= after.items()
    assert {name for name in after if not name.startswith("out/images/")} == set(before)
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 1797

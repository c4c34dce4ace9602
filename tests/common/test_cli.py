"""The first word behind a room's name: a command of the room, a path, or a slip that is told."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from components import ROOMS
from components.common.cli import ROOM_ITSELF, read_commands, run_room
from components.validate.spec import Outputs


def type_in(room: str, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        run_room(room, words)
    told = capsys.readouterr()
    return end.value.code, told.out, told.err


def test_help_of_every_room_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    named = {}
    for room in ROOMS:
        code, text, _ = type_in(room, "--help", capsys=capsys)
        assert code == 0
        _, _, listed = text.partition("commands (each has a --help of its own):\n")
        named[room] = re.findall(r"^  (\S+)  ", listed.partition("\n\n")[0], re.M)
        for name in named[room]:
            assert read_commands(room)[name].help in listed
    assert {room: names for room, names in named.items() if names} == {
        "ingest": ["outline"],
        "validate": ["look"],
        "train": ["--list-backbones", "weights"],
        "promote": ["approve", "rollback", "history", "repair", "rules"],
        "predict": ["watch", "batch", "suggest", "serve", "page"],
        "init": ["schema", "upgrade", "completion"],
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_command_has_a_help_of_its_own(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in read_commands(room).items():
        if name != ROOM_ITSELF:
            code, text, _ = type_in(room, name, "--help", capsys=capsys)
            assert code == 0
            assert text.startswith(f"usage: python -m components.{room} {name} [-h]")
            assert command.help in text


@pytest.mark.parametrize(
    ("room", "word", "words"),
    [
        (
            "promote",
            "rolback",
            "unknown command rolback; did you mean `rollback`? legal commands are "
            "approve, rollback, history, repair, rules",
        ),
        (
            "promote",
            "",
            "unknown command ; legal commands are approve, rollback, history, repair, rules",
        ),
        ("train", "xyz", "unknown command xyz; legal commands are --list-backbones, weights"),
    ],
)
def test_unknown_command_is_told_with_the_legal_ones(
    room: str, word: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, told = type_in(room, word, "--name", "darkroom", capsys=capsys)
    assert (code, out) == (2, "")
    assert told.endswith(f"python -m components.{room}: error: {words}\n")


def test_a_room_that_a_person_types_takes_any_other_word_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that has the name of a command is named with a path before it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watch").mkdir()
    for words in (["./watch"], ["--output", "-", "watch"]):
        code, _, told = type_in("predict", *words, "--model", "none.keras", capsys=capsys)
        assert (code, told) == (
            1,
            f"error: no images in {words[-1].removeprefix('./')}: nothing to predict\n",
        )
    code, _, told = type_in("predict", "watch", "--model", "none.keras", capsys=capsys)
    assert (code, told[:24]) == (1, "error: nothing to watch:")


@pytest.mark.parametrize(
    ("room", "words", "flag"),
    [
        ("promote", ["approve", "", "--by", "me", "--reason", "why"], "version"),
        ("promote", ["approve", "--by", "me", "--reason", "why", "--champion", ""], "--champion"),
        ("promote", ["rollback", "", "--reason", "why"], "version"),
        ("promote", ["history", ""], "query"),
        ("promote", ["rules", "--params", ""], "--params"),
        ("predict", ["--model", "m.keras", ""], "PATH"),
        ("predict", ["batch", "", "--output", "x"], "SOURCE"),
        ("predict", ["batch", "photos", "--output", ""], "--output"),
        ("predict", ["serve", "--model", "m.keras", "--port", "70000"], "--port"),
        ("train", ["--list-backbones", "--max-mb", "nan"], "--max-mb"),
        ("train", ["--list-backbones", "--minutes", "inf"], "--minutes"),
        ("train", ["--list-backbones", "--minutes", "1", "--images", "9" * 5000], "--images"),
        ("train", ["weights", "fetch", ""], "NAME"),
        ("init", [""], "source"),
        ("init", ["photos", "--minutes", "x"], "--minutes"),
    ],
)
def test_an_empty_word_or_a_number_out_of_range_is_refused_before_anything(
    room: str, words: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable of the shell that is not set gives an empty word: no path, and no default."""
    code, out, told = type_in(room, *words, capsys=capsys)
    assert (code, out) == (2, "")
    assert f"error: argument {flag}: " in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--list-backbones", "--memory-gb", "3"], "go with --minutes"),
        (["--list-backbones", "--shelf", "here"], "--shelf here: is no folder"),
        (["weights", "list", "--shelf", "here"], "--shelf here: is no folder"),
        (["weights", "verify", "--shelf", "here"], "--shelf here: is no folder"),
        (["weights", "verify"], "data/weights: nothing there"),
        (["weights", "list", "dinov2_base"], "takes no names"),
        (["weights", "fetch"], "name a network"),
    ],
)
def test_flags_that_would_be_passed_over_are_refused(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").write_text("mine")
    code, out, err = type_in("train", *words, capsys=capsys)
    assert (code, out) == (1, "")
    assert told in err


def test_a_room_takes_what_machine_memory_gb_allows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0.3 GB are counted for validate whatever the number of its images."""
    words = ["--images", str(tmp_path / "photos"), "--params", str(tmp_path / "params.yaml")]
    for field in dataclasses.fields(Outputs):
        words += [f"--{field.name.replace('_', '-')}", str(tmp_path / "out" / field.name)]
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(b"")
    (tmp_path / "params.yaml").write_text("machine:\n  memory_gb: 0.2\n")
    code, _, told = type_in("validate", *words, capsys=capsys)
    assert code == 1
    assert "1 images take about 0.3 GB of memory here" in told
    assert "GB of machine.memory_gb (0.2) are free: give this machine" in told
    (tmp_path / "params.yaml").write_text("machine:\n  memory_gb: auto\n")
    _, _, told = type_in("validate", *words, capsys=capsys)
    assert "take about" not in told
    (tmp_path / "params.yaml").write_text("machine:\n  memory_gb: 0\n")
    _, _, told = type_in("validate", *words, capsys=capsys)
    assert "machine.memory_gb must be 0.1 to 1e+06, or 'auto'; got 0" in told

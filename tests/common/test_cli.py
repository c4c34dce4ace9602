"""The first word behind a room's name: a command of the room, a path, or a slip that is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components import ROOMS
from components.common.cli import ROOM_ITSELF, read_commands, run_room


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

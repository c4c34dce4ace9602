"""A slip in params.yaml is found at once, whatever stage starts, and is told in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import ROOMS, STAGES
from components.common.cli import read_commands, read_room_params
from components.common.errors import DarkroomError
from components.common.settings.params import MOVED, flatten, read_yaml
from tests.processes import run_python

ROOT = Path(__file__).parents[2]
HEAVY = {
    "great_expectations",
    "keras",
    "mlflow",
    "numpy",
    "pandas",
    "pydantic",
    "sklearn",
    "tensorflow",
}

# "Billion laughs": a list, ten of it, ten of these …
LAUGHS = "[&a0 [l], " + ", ".join(f"&a{i} [{f'*a{i - 1}, ' * 10}]" for i in range(1, 10)) + "]"
MERGES = "[&a0 {k: v}, " + ", ".join(f"&a{i} {{<<: [{f'*a{i - 1}, ' * 10}]}}" for i in range(1, 10))
MERGES += "]"
LINE = "- 1\n"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  seed: 0", "  sed: 0", ["unknown key train.sed", "did you mean `seed`"]),
        ("  seed: 0", "  seed: zero", ["train.seed", "integer", '"zero"']),
        ("  seed: 0", "  seed: true", ["train.seed", "integer", "true"]),
        ("  seed: 0", "  seed: -1", ["train.seed", "0 to", "-1"]),
        (
            "  resize: crop",
            "  resize: squash",
            ["preprocess.resize", "crop", "pad", "stretch", "squash"],
        ),
        (
            'background: "#ffffff"',
            "background: white",
            ["preprocess.background", "#rrggbb", "white"],
        ),
        (
            "optimizer: adamw",
            "optimizer: lion",
            ["train.finetune.optimizer", "adamw", "sgd", "lion"],
        ),
        ("\ntrain:", "\ntraining:", ["unknown key training", "did you mean `train`"]),
        ("at_least: 0.8", "at_last: 0.8", ["promote.rules[0]", "at_last"]),
        ("data:\n", "data: [\n", ["not valid YAML"]),
        ("costs: {}", "costs: {cat: {dog: -1}}", ["evaluate.costs.cat.dog", "0 or more", "-1"]),
        ("costs: {}", "costs: {cat: {dog: .inf}}", ["evaluate.costs.cat.dog", "0 or more"]),
        ("review_cost: 0", "review_cost: .inf", ["evaluate.review_cost", "0 or more"]),
        ("max_imbalance: 20", "max_imbalance: .inf", ["validate.max_imbalance", "1 or more"]),
        ("include: []", f"include: {LAUGHS}", ["anchors", "more than 100,000 values"]),
        ("include: []", "include: &a [*a]", ["stands within itself"]),
        ("include: []", f"include: {'[' * 3000}", ["nested too deeply"]),
        ("include: []", "include: 2026-13-45", ["not valid YAML: month must be in 1..12"]),
        ("include: []", "include: !!python/object/apply:os.getcwd []", ["not valid YAML", "tag"]),
        ("include: []", f"include: {MERGES}", ["merges (<<) bring more than 100,000 keys"]),
        ("  seed: 0", f"  seed: 0x{'f' * 9000}", ["train.seed is a number beyond 9,007,199"]),
        (
            "include: []",
            "include: [2026-01-02]",
            ["validate.classes.include[0] is a date", "quotes"],
        ),
        ("include: []", "include: !!set {a}", ["validate.classes.include is a set", "as a list"]),
        ("include: []", "include: !!binary aGk=", ["classes.include is a binary", "quotes"]),
        (
            "corrections: c",
            'corrections: "a\\0" # ',
            ["data.corrections is a text with '\\x00' in it"],
        ),
        (
            "corrections: c",
            'corrections: "\\ud83d" # ',
            ["text with '\\ud83d' in it", "leave it out"],
        ),
        ("corrections: c", f"corrections: {'x' * 20_000}", ["a text of 20,0", "more than 10,000"]),
        (
            "include: []",
            f"include: []\n{'#' * 1_000_000}",
            ["and settings never more than 1,000,000"],
        ),
        # Each of these took the library half a minute.
        ("data:\n", f"a: [{'1,' * 450_000}]\ndata:\n", ["450,4", "never more than 30,000"]),
        ("data:\n", f"a:\n{LINE * 200_000}data:\n", ["never more than 30,000"]),
        ("data:\n", f"a: [{'{a},' * 200_000}]\ndata:\n", ["never more than 30,000"]),
        ("data:\n", f"{LINE.replace('-', '?') * 200_000}data:\n", ["never more than 30,000"]),
        ("data:\n", f"{'k' * 500}: 1\ndata:\n", [f"unknown key {'k' * 200}; legal"]),
        ("data:\n", "data:\n  source: a\n", ['duplicate key "source"', '"a") at line']),
    ],
)
def test_slips_are_told_with_key_legal_values_and_what_was_found(
    params: Path, old: str, new: str, words: list[str]
) -> None:
    replace(params, old, new)
    for room in ("ingest", "promote"):  # the first stage finds a slip in the section of the last
        with pytest.raises(DarkroomError) as caught:
            read_room_params(params, room)
        for word in words:
            assert word in str(caught.value)


def test_long_lists_of_names_are_read(tmp_path: Path) -> None:
    names = [f"class-{i % 7}/photo, at home: {i:06d}.jpg" for i in range(9_000)]
    file = tmp_path / "params.yaml"
    file.write_text(f"validate:\n  names: {json.dumps(names)}\n")
    assert file.stat().st_size > 300_000
    assert read_yaml(file) == {"validate": {"names": names}}


def test_what_is_wrong_is_not_lost_in_a_whole_section(params: Path) -> None:
    for old, new, words in (
        ("    nodes: 1", "    nodes: 2", "kubeflow must be given a volume.claim"),
        ("  val_fraction: 0.15", "  val_fraction: 0.5", "test_fraction is 0.9 or less"),
        ("  copies: changed", f"  copies: [{'1, ' * 500}]", "validate.copies must be"),
    ):
        text = params.read_text()
        replace(params, old, new)
        if "val" in new:
            replace(params, "  test_fraction: 0.15", "  test_fraction: 0.5")
        with pytest.raises(DarkroomError, match=words) as caught:
            read_room_params(params, "promote")
        assert len(str(caught.value).removeprefix(str(params))) < 400
        params.write_text(text)


BITS = "data.near_duplicate_bits"


@pytest.mark.parametrize(
    ("rooms", "words"),
    [
        (["validate"], f"validate.near_duplicate_bits has moved: set {BITS} instead"),
        (["preprocess"], f"preprocess.near_duplicate_bits has moved: set {BITS} instead"),
        (
            ["validate", "preprocess"],
            "validate.near_duplicate_bits and preprocess.near_duplicate_bits have moved: set "
            f"{BITS} instead",
        ),
    ],
)
@pytest.mark.parametrize("is_new", [True, False], ids=["new key set", "new key missing"])
def test_a_setting_at_its_old_place_is_refused_with_the_new_one(
    params: Path, rooms: list[str], words: str, is_new: bool
) -> None:
    (line,) = (line for line in params.read_text().splitlines() if "near_duplicate_bits" in line)
    for room in rooms:
        replace(params, f"\n{room}:\n", f"\n{room}:\n  near_duplicate_bits: 6\n")
    if not is_new:  # as an update of the code finds the file
        replace(params, f"{line}\n", "")
    with pytest.raises(DarkroomError) as caught:
        read_room_params(params, "train")
    assert str(caught.value) == f"{params}: {words}"


def test_what_an_earlier_version_did_not_know_has_its_default(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {room: read_room_params(params, room) for room in ROOMS}
    assert capsys.readouterr().err == ""  # ours lacks nothing
    found = read_yaml(params)
    del found["predict"], found["validate"]["max_megapixels"], found["data"]["corrections"]
    params.write_text(json.dumps(found))
    for room in ROOMS:
        assert read_room_params(params, room) == whole[room]
        said = capsys.readouterr().err
        # A room says what concerns it, in one line.
        assert ("data.corrections" in said) == (room in ("validate", "preprocess", "promote"))
        assert ("validate.max_megapixels" in said) == (room == "validate")
        assert ("predict" in said) == (room == "predict")
        assert said.count("\n") <= 1


def test_every_setting_that_moved_is_where_the_table_says() -> None:
    known = flatten(read_yaml(ROOT / "params.yaml"))
    for old, new in MOVED.items():
        assert new in known
        assert old not in known


def test_one_value_reaches_both_rooms(params: Path) -> None:
    replace(params, "near_duplicate_bits: 4", "near_duplicate_bits: 15")
    for room in ("validate", "preprocess"):
        assert read_room_params(params, room).data.near_duplicate_bits == 15
    replace(params, "near_duplicate_bits: 15", "near_duplicate_bits: 16")
    with pytest.raises(DarkroomError, match=r"data\.near_duplicate_bits must be 0 to 15; got 16"):
        read_room_params(params, "ingest")


@pytest.mark.parametrize("room", STAGES)
def test_a_stage_refuses_before_any_work(room: str, params: Path, tmp_path: Path) -> None:
    replace(params, "  seed: 0", "  sed: 0")
    import importlib

    spec = importlib.import_module(f"components.{room}.spec")
    words = []
    for kind in (spec.Inputs, spec.Outputs):
        for name in kind.__dataclass_fields__:
            words += ["--" + name.replace("_", "-"), str(tmp_path / "nowhere" / name)]
    done = subprocess.run(
        [sys.executable, "-m", f"components.{room}", *words, "--params", str(params)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "unknown key train.sed" in done.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("room", "words"),
    [(room, [name] if name else []) for room in ROOMS for name in ("", *read_commands(room))],
)
def test_help_imports_nothing_heavy(room: str, words: list[str]) -> None:
    """What makes --help slow is imports; seconds would depend on the machine."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = {['components.' + room, *words, '--help']}\n"
        "try:\n"
        f"    runpy.run_module('components.{room}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"print(sorted({HEAVY} & sys.modules.keys()))\n"
    )
    assert run_python(code).splitlines()[-1] == "[]"


def test_a_params_file_that_is_none_is_told_and_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    """`--params <(…)` was empty the second time it was read, and a named pipe hung."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "list").write_text("- a\n")
    (tmp_path / "wide").write_text("data: {}", encoding="utf-16")  # as PowerShell writes
    words = {"pipe": "a pipe or device", "empty": "got nothing", "list": "got a list"}
    words |= {"wide": "save it as UTF-8"}
    for name, told in words.items():
        with pytest.raises(DarkroomError, match=told):
            read_room_params(tmp_path / name, "train")
    with pytest.raises(DarkroomError, match=r"none: no such file; give one with --space"):
        read_yaml(tmp_path / "none", "--space")

"""What an older params.yaml lacks is added, and nothing else in it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.common.cli import create_schema, run_room
from components.common.settings.edits import change_text
from components.common.settings.missing import find_missing
from components.common.settings.params import flatten, read_yaml
from components.init.upgrade import list_named

ROOT = Path(__file__).parents[2]


def take_out(text: str, *lines: str) -> str:
    for line in lines:
        assert f"\n{line}" in text
        start = text.index(f"\n{line}") + 1
        text = text[:start] + text[text.index("\n", start) + 1 :]
    return text


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """As somebody had it before corrections, the costs of errors, and batches."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = take_out(text, "  # Labels mended", "  corrections:", "  max_error_of:")
    start = text.index("\n  batch:")
    text = text[: start + 1] + text[text.index("\n\n", start) + 1 :]
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_all_that_is_missing(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = params.read_text(encoding="utf-8")
    run_room("init", ["upgrade", "--params", str(params)])
    assert "data.corrections, evaluate.max_error_of, predict.batch" in capsys.readouterr().out
    assert find_missing(read_yaml(params), create_schema()) == {}
    after = params.read_text(encoding="utf-8")
    left = after.splitlines()
    for line in before.splitlines():  # all lines are there, in their order, with their comments
        left = left[left.index(line) + 1 :]
    run_room("init", ["upgrade", "--params", str(params)])
    assert capsys.readouterr().out == ""
    assert params.read_text(encoding="utf-8") == after


def test_ends_of_lines_stay_those_of_windows(params: Path) -> None:
    """All 200 lines of such a file were changed, and git showed every one of them."""
    before = params.read_bytes().replace(b"\n", b"\r\n")
    params.write_bytes(before)
    run_room("init", ["upgrade", "--params", str(params)])
    after = params.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in after)
    assert set(before.splitlines(keepends=True)) <= set(after)
    assert find_missing(read_yaml(params), create_schema()) == {}


def test_only_what_dvc_looks_for(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_room("init", ["upgrade", "--params", str(params), "--stages", str(ROOT / "dvc.yaml")])
    # Of a section that a stage names DVC takes what there is.
    assert "what it was without them: data.corrections\n" in capsys.readouterr().out
    found = flatten(read_yaml(params))
    assert "data.corrections" in found
    assert "evaluate.max_error_of" not in found


def test_what_dvc_yaml_names() -> None:
    named = set(list_named(read_yaml(ROOT / "dvc.yaml")))
    assert {"data.source", "data.corrections", "train", "mlflow.registered_model"} <= named


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n  b: 1 # of b\nd: 2\n", "a:\n  b: 1 # of b\n  c: 3\nd: 2\n"),
        ("a:\n  b: 1", "a:\n  b: 1\n  c: 3\n"),
        ("a: {b: 1} # of a\n", "a: {b: 1, c: 3} # of a\n"),
        ("a: {}\n", "a: {c: 3}\n"),
        (
            "a:\n  b:\n    - 1\n    - x: 2\n\n# of d\nd: 4\n",
            "a:\n  b:\n    - 1\n    - x: 2\n  c: 3\n\n# of d\nd: 4\n",
        ),
        ("a:\n  b: |\n    text\nd: 4\n", "a:\n  b: |\n    text\n  c: 3\nd: 4\n"),
    ],
)
def test_where_a_new_key_goes(before: str, after: str) -> None:
    assert change_text(before, {"a.c": 3}) == after


def test_the_schema_replaces_its_own_file_and_nobody_elses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, schema = tmp_path / "notes.json", tmp_path / "params.schema.json"
    notes.write_text("mine")
    schema.write_text((ROOT / "params.schema.json").read_text("utf-8").replace("seed", "sead"))
    run_room("init", ["schema", "--output", str(schema)])
    assert schema.read_text("utf-8") == (ROOT / "params.schema.json").read_text("utf-8")
    for place, words in ((notes, "Darkroom did not write it"), (tmp_path, "is a folder")):
        with pytest.raises(SystemExit) as end:
            run_room("init", ["schema", "--output", str(place)])
        assert end.value.code == 1
        assert words in capsys.readouterr().err
    assert notes.read_text() == "mine"

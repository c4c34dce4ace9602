"""dvc.yaml, params.yaml and the rooms' specs say the same: flags, files, settings."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components import ROOMS, STAGES
from components.common.cli import create_parser, read_room_params
from components.common.settings.params import flatten
from components.common.settings.spec import SHARED_SECTIONS, is_shared

ROOT = Path(__file__).parents[2]
# In a command a word that the room looks up; DVC itself must know the folder.
SOURCE, SOURCE_DEP = "data.source", "${data.source}"
CORRECTIONS_DEP = "${data.corrections}"  # a file that a setting names, so no flag does
# What a person sets for the project at hand: the spec's default is empty there.
CHOSEN = {"promote.rules"}


def read_yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text())


def read_stage(room: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the flags of a stage's command, and the stage."""
    stage = read_yaml("dvc.yaml")["stages"][room]
    python, dash_m, module, *words = shlex.split(stage["cmd"])
    assert (python, dash_m, module) == ("python", "-m", f"components.{room}")
    return dict(zip(words[::2], words[1::2], strict=True)), stage


def read_spec(room: str) -> Any:
    return importlib.import_module(f"components.{room}.spec")


def flag_names(kind: Any) -> set[str]:
    return {"--" + field.name.replace("_", "-") for field in dataclasses.fields(kind)}


def paths_of(entries: list[Any]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_one_stage_a_room_in_the_order_of_the_rooms() -> None:
    assert tuple(read_yaml("dvc.yaml")["stages"]) == STAGES
    assert sorted(ROOMS) == sorted(
        spec.parent.name
        for spec in (ROOT / "components").glob("*/spec.py")
        if spec.parent.name != "common"
    )


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_same_floor_plan(room: str) -> None:
    folder = ROOT / "components" / room
    assert {"__init__.py", "__main__.py", "spec.py", "run.py"} <= {f.name for f in folder.iterdir()}
    code = (ROOT / "components" / "ingest" / "__main__.py").read_text()
    assert (folder / "__main__.py").read_text() == code.replace("ingest", room)
    spec = read_spec(room)
    for kind in (spec.Inputs, spec.Outputs, spec.Params):
        assert dataclasses.is_dataclass(kind)
        assert kind.__dataclass_params__.frozen
        for field in dataclasses.fields(kind):
            assert field.metadata["help"], f"{room}: {field.name} is not explained"


@pytest.mark.parametrize("room", STAGES)
def test_flags_of_dvc_yaml_are_those_of_the_spec(room: str) -> None:
    flags, _ = read_stage(room)
    spec = read_spec(room)
    assert set(flags) == flag_names(spec.Inputs) | flag_names(spec.Outputs)
    words = [word for flag in flags.items() for word in flag]
    create_parser(room, spec).parse_args(words)  # exits where the room would


@pytest.mark.parametrize("room", STAGES)
def test_every_file_of_a_stage_is_known_to_dvc(room: str) -> None:
    flags, stage = read_stage(room)
    spec = read_spec(room)
    deps = set(stage["deps"])
    outs = paths_of(stage.get("outs", [])) | paths_of(stage.get("metrics", []))
    outs |= paths_of(stage.get("plots", []))
    inputs = {flags[flag].replace(SOURCE, SOURCE_DEP) for flag in flag_names(spec.Inputs)}
    outputs = {flags[flag] for flag in flag_names(spec.Outputs)}
    if room == "ingest":  # fills the folder, or finds that another is read
        inputs.discard(SOURCE_DEP)
        assert SOURCE in stage["params"]
    assert inputs <= deps
    assert outputs == outs
    named = {CORRECTIONS_DEP} if room == "validate" else set()
    assert {name for name in deps - inputs if not name.startswith("components/common/")} == {
        f"components/{room}",
        *named,
    }


@pytest.mark.parametrize("room", STAGES)
def test_every_setting_that_a_room_reads_reruns_its_stage(room: str) -> None:
    _, stage = read_stage(room)
    params = set(stage["params"])
    assert room in params
    code = "".join(file.read_text() for file in (ROOT / "components" / room).rglob("*.py"))
    read = {
        f"{section.name}.{field.name}"
        for section in dataclasses.fields(read_spec(room).Params)
        if is_shared(section)
        for field in dataclasses.fields(SHARED_SECTIONS[section.name])
        if f".{section.name}.{field.name}" in code
    }
    if room == "ingest":  # which has no dep on it: it may be the folder that ingest fills
        params.remove("data.source")
    # Where the records go changes no result; what a version is registered as does. The folder of
    # images is one of the deps.
    assert params - {room} == read - {"mlflow.experiment", "data.source"}
    text = (ROOT / "dvc.yaml").read_text()
    assert set(re.findall(r"\$\{(.*?)\}", text)) == {"data.source", "data.corrections"}


@pytest.mark.parametrize("room", STAGES)
def test_a_room_decides_itself_what_of_an_output_may_go(room: str) -> None:
    """DVC removes what lies in the place of an output, unasked, unless it is `persist`."""
    _, stage = read_stage(room)
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind, []):
            assert isinstance(entry, dict), entry
            assert next(iter(entry.values()))["persist"] is True, entry


def test_no_command_holds_what_a_person_wrote() -> None:
    for stage in read_yaml("dvc.yaml")["stages"].values():
        assert "${" not in stage["cmd"], "a shell would read it"


def test_params_yaml_holds_every_setting_at_its_default() -> None:
    found = read_yaml("params.yaml")
    for room in ROOMS:
        params = read_spec(room).Params
        if not dataclasses.fields(params):
            continue
        read_room_params(ROOT / "params.yaml", room)
        own = {
            f.name: getattr(params(), f.name)
            for f in dataclasses.fields(params)
            if not is_shared(f)
        }
        defaults, values = flatten(own, room), flatten(found[room], room)
        for key in CHOSEN:
            defaults.pop(key, None), values.pop(key, None)
        assert values == defaults, f"section {room}"
    for name, kind in SHARED_SECTIONS.items():
        assert flatten(found[name]) == flatten(kind()), f"section {name}"

"""What reruns a stage, and what travels with a model, is what the imports say."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components import STAGES
from components.promote.serving.package import CARRIED

from .imports import find_reached

ROOT = Path(__file__).parents[2]
# They change what is said, asked or recorded, and how fast it goes, but no result.
NO_RESULT = {"cli", "errors", "host", "settings", "terminal", "tracking"}


def find_file(module: str) -> Path:
    """Return the file of a module, relative to the checkout."""
    base = ROOT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return file.relative_to(ROOT)


@pytest.mark.parametrize("room", STAGES)
def test_a_stage_depends_on_what_its_results_come_from(room: str) -> None:
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
    reached = {
        module.split(".")[2]
        for module in find_reached(f"components.{room}.run")
        if module.startswith("components.common.")
    }
    common = ROOT / "components" / "common"
    wanted = {
        f"components/common/{name}" + ("" if (common / name).is_dir() else ".py")
        for name in reached - NO_RESULT
    }
    named = {str(dep) for dep in stages[room]["deps"] if str(dep).startswith("components/common")}
    assert named == wanted


def test_what_changes_no_result_is_still_there() -> None:
    names = {file.stem for file in (ROOT / "components" / "common").iterdir()}
    assert names >= NO_RESULT


def test_a_model_carries_the_serving_room_and_what_that_reaches() -> None:
    reached = find_reached("components.common.serving.served")
    files = {find_file(module) for module in reached}
    for file in list(files):  # a package is imported by its __init__.py
        files |= {parent / "__init__.py" for parent in file.parents if parent != Path()}
    assert {Path("components") / name for name in CARRIED} == files

"""The KFP tasks and the rooms' specs say the same: inputs, outputs, sections, file names."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from components import STAGES
from components.common.settings.kubeflow import ALL_TASKS
from components.common.settings.spec import is_shared
from pipelines import tasks
from pipelines.steps.bundles import BUNDLES, FILES
from tests.contract.test_stages import read_stage
from tests.processes import run_python

# preprocess is three tasks on a cluster, and validate too where images are many; ingest's one input
# names the folder it fills.
TASKS_OF = {
    "ingest": ["find_images", "fetch"],
    "validate": ["validate", "plan_checks", "check_images", "judge_images"],
    "preprocess": ["plan_shards", "write_shards", "collect_shards"],
}
NO_ARTIFACT = {("ingest", "source")}


def read_signature(room: str) -> tuple[set[str], set[str], set[str]]:
    """Return the names of input artifacts, output artifacts and sections of a room's tasks."""
    inputs, outputs, sections = set(), set(), set()
    for name in TASKS_OF.get(room, [room]):
        for parameter in inspect.signature(getattr(tasks, name)).parameters.values():
            text = str(parameter.annotation)
            if parameter.annotation is dict:
                sections.add(parameter.name)
            elif "OutputAnnotation" in text or "Output" in text.split("[", maxsplit=1)[0]:
                outputs.add(parameter.name)
            elif "InputAnnotation" in text or "Input[" in text:
                inputs.add(parameter.name)
    return inputs, outputs, sections


def names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("room", STAGES)
def test_a_task_has_the_artifacts_and_sections_of_its_rooms_spec(room: str) -> None:
    spec = importlib.import_module(f"components.{room}.spec")
    inputs, outputs, sections = read_signature(room)
    for name in names(spec.Inputs):
        if (room, name) not in NO_ARTIFACT:
            assert find_bundles(name) & inputs, f"nothing brings {name}"
    for name in names(spec.Outputs) - {"verdict"}:  # promote's is the value that it returns
        assert find_bundles(name) & outputs, f"{name} goes nowhere"
    shared = {field.name for field in dataclasses.fields(spec.Params) if is_shared(field)}
    own = {room} if len(dataclasses.fields(spec.Params)) > len(shared) else set()
    assert sections - {"fetch", "mlflow"} == (own | shared) - {"mlflow"}
    assert "mlflow" in sections or "mlflow" not in shared


def find_bundles(name: str) -> set[str]:
    """Return the artifacts that may bring a path of a spec: its own, or a folder that it is in."""
    return {name} | {bundle for bundle, names_ in BUNDLES.items() if name in names_}


def test_what_is_in_a_folder_is_of_a_spec() -> None:
    specs = [importlib.import_module(f"components.{room}.spec") for room in STAGES]
    written = {name for spec in specs for name in names(spec.Outputs)}
    for bundle, inside in BUNDLES.items():
        assert set(inside) <= written, bundle


def test_every_task_is_in_the_list_that_params_yaml_is_checked_with() -> None:
    written = {
        name
        for name, one in vars(tasks).items()
        if inspect.isfunction(one) and one.__module__ == tasks.__name__
    }
    assert written == {*ALL_TASKS, "train_on_nodes"}


def test_the_variable_with_the_images_digest_is_the_one_that_lineage_reads() -> None:
    from components.promote.registry import lineage
    from pipelines import resources

    assert resources.IMAGE_DIGEST == lineage.IMAGE_DIGEST


@pytest.mark.parametrize("room", STAGES)
def test_a_room_sees_the_file_names_of_dvc_yaml(room: str) -> None:
    flags, _ = read_stage(room)
    for flag, path in flags.items():
        name = flag.removeprefix("--").replace("-", "_")
        if name not in ("images", "source"):
            assert FILES.get(name, name) == Path(path).name


def test_importing_the_pipeline_imports_no_room_and_nothing_heavy() -> None:
    code = (
        "import sys, pipelines.cli, pipelines.dag, pipelines.cluster, pipelines.local;"
        "import pipelines.steps.fetch, pipelines.steps.shards, pipelines.steps.views;"
        "print(*sorted(sys.modules))"
    )
    loaded = set(run_python(code).split())
    heavy = {"tensorflow", "keras", "mlflow", "great_expectations", "pandas", "dvc", "boto3"}
    assert not loaded & heavy
    rooms = {name for name in loaded if name.startswith(tuple(f"components.{r}." for r in STAGES))}
    assert {name.split(".")[2] for name in rooms} <= {"spec"}

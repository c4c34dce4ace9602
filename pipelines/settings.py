"""Settings of a run: params.yaml, with some of its keys set anew, checked before all else."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.common.cli import create_schema
from components.common.errors import DarkroomError
from components.common.settings.kubeflow import ALL_TASKS, DEFAULT, Kubeflow
from components.common.settings.missing import fill_missing
from components.common.settings.params import (
    check_params,
    flatten,
    read_yaml,
    refuse_moved,
    set_key,
)
from components.common.settings.yaml import load_yaml
from pipelines.corrections import embed_corrections

# Sections that are parameters of the pipeline; `fetch` is beside them, from section `kubeflow`.
SECTIONS = (
    "ingest",
    "validate",
    "preprocess",
    "train",
    "evaluate",
    "promote",
    "data",
    "mlflow",
)

FREE = ("labels", "annotations")  # of kubeflow.pods: mappings of any keys

# Names of the pipelines: from photos to a judged model; from photos and a model to answers.
DARKROOM, BATCH = "darkroom", "darkroom-predict"


@dataclass(frozen=True)
class Settings:
    """Checked settings."""

    kubeflow: Kubeflow
    parameters: dict[str, Any]  # of the pipeline, plain values as in params.yaml
    predict: dict[str, Any] = field(default_factory=dict)  # that section, of the other pipeline
    pipeline: str = DARKROOM


def read_settings(file: Path, changes: Sequence[str] = ()) -> Settings:
    """Read a params file, set some of its keys anew, and check all.

    Args:
        file: a params file.
        changes: `section.key=value` with the value in YAML: ``train.finetune.epochs=4``.

    Raises:
        DarkroomError: naming the first bad key, what is legal there, and what was found.
    """
    found = copy.deepcopy(read_yaml(file))
    refuse_moved(
        str(file), flatten(found)
    )  # or a change of the new key would be told it is unknown
    fill_missing(found, create_schema())
    for change in changes:
        apply_change(found, change)
    values = check_params(file, found, create_schema())
    found["data"]["corrections"] = embed_corrections(found["data"]["corrections"])
    parameters = {name: found[name] for name in SECTIONS}
    parameters["fetch"] = found["kubeflow"]["fetch"]
    return Settings(values["kubeflow"], parameters, found["predict"])


def apply_change(found: dict[str, Any], change: str) -> None:
    """Set one key of a read params file: `section.key=value`, the value in YAML.

    Where only text can stand, the value is what was typed, and YAML's quotes are all that is taken
    off it: a path may have a # in it, and a name an @ before it.

    Raises:
        DarkroomError: if it has no such key.
    """
    name, equals, text = change.partition("=")
    key, text = name.strip(), text.strip()
    if not equals or "." not in key:
        raise DarkroomError(f"--set {change}: must be section.key=value")
    value: Any = text
    if not is_text(create_schema(), key) or text[:1] in ("'", '"'):
        try:
            value = load_yaml(text)
        except ValueError as error:
            raise DarkroomError(f"--set {key}: {error} in the value {text!r}") from None
    value = "" if value is None else value
    place, last = _find_free(found, key)
    if place is None:
        set_key(found, key, value, "--set")
    else:
        place[last] = value


def _find_free(found: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, str]:
    """Return the mapping of any keys that a dotted key leads into, and the key in it; else None.

    What a task asks for may leave out any of its keys, the task itself may be left out, and a label
    has dots and slashes of its own: ``kubeflow.pods.labels.kueue.x-k8s.io/queue-name``.
    """
    for start in FREE:
        if key.startswith(f"kubeflow.pods.{start}."):
            place = found["kubeflow"]["pods"].get(start)
            return (place if isinstance(place, dict) else None), key.split(".", 3)[3].strip("\"'")
    if not key.startswith("kubeflow.tasks."):
        return None, ""
    tasks = found["kubeflow"].get("tasks")
    _, _, task, *rest = key.split(".", 4)
    if not isinstance(tasks, dict):
        return None, ""
    if not rest:
        return tasks, task
    if task not in (DEFAULT, *ALL_TASKS):
        return None, ""
    place = tasks.setdefault(task, {})
    if len(rest) == 2 and rest[0] == "node_selector" and isinstance(place, dict):
        place, rest = place.setdefault("node_selector", {}), [rest[1].strip("\"'")]
    return (place if isinstance(place, dict) and len(rest) == 1 else None), rest[0]


def is_text(schema: Mapping[str, Any], key: str) -> bool:
    """Whether a dotted key of params.yaml is one that only text can stand in."""
    section, *rest = key.split(".")
    kind: Any = schema.get(section)
    for part in rest:
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return kind is str

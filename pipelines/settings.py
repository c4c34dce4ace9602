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
from components.common.settings.kubeflow import Kubeflow
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

    Raises:
        DarkroomError: if it has no such key.
    """
    name, equals, text = change.partition("=")
    key = name.strip()
    if not equals or "." not in key:
        raise DarkroomError(f"--set {change}: must be section.key=value")
    try:
        value = load_yaml(text)
    except ValueError as error:
        raise DarkroomError(f"--set {key}: {error} in the value {text!r}") from None
    # What tasks ask for is a mapping of their names, and may leave out any of its keys.
    is_free = key.startswith(("kubeflow.tasks.", "kubeflow.pods.labels.", "kubeflow.pods.annot"))
    if not isinstance(value, (str, list, dict)) and is_text(create_schema(), key):
        value = text.strip()  # a commit of digits, a name like 2024 or `on`
    set_key(found, key, "" if value is None else value, "--set", is_free)


def is_text(schema: Mapping[str, Any], key: str) -> bool:
    """Whether a dotted key of params.yaml is one that only text can stand in."""
    section, *rest = key.split(".")
    kind: Any = schema.get(section)
    for part in rest:
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return kind is str

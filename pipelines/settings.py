"""Settings of a run: params.yaml, with some of its keys set anew, checked before all else."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.cli import create_schema
from components.common.errors import DarkroomError
from components.common.kubeflow import Kubeflow
from components.common.params import check_params, flatten, read_yaml

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


@dataclass(frozen=True)
class Settings:
    """Checked settings."""

    kubeflow: Kubeflow
    parameters: dict[str, dict[str, Any]]  # of the pipeline, plain values as in params.yaml


def read_settings(file: Path, changes: Sequence[str] = ()) -> Settings:
    """Read a params file, set some of its keys anew, and check all.

    Args:
        file: a params file.
        changes: `section.key=value` with the value in YAML: ``train.finetune.epochs=4``.

    Raises:
        DarkroomError: naming the first bad key, what is legal there, and what was found.
    """
    found = copy.deepcopy(read_yaml(file))
    for change in changes:
        set_key(found, change)
    values = check_params(file, found, create_schema())
    parameters = {name: found[name] for name in SECTIONS}
    parameters["fetch"] = found["kubeflow"]["fetch"]
    return Settings(values["kubeflow"], parameters)


def set_key(found: dict[str, Any], change: str) -> None:
    """Set one key of a read params file; raise DarkroomError if it has no such key."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    name, equals, text = change.partition("=")
    *path, last = name.strip().split(".")
    if not equals or not path:
        raise DarkroomError(f"--set {change}: must be section.key=value")
    place: Any = found
    for key in path:
        place = place.get(key) if isinstance(place, dict) else None
    free = isinstance(place, dict) and name.startswith("kubeflow.tasks")
    if not isinstance(place, dict) or (last not in place and not free):
        known = list(flatten(found))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise DarkroomError(f"--set {name}: unknown key; {hint}see params.yaml for all keys")
    try:
        place[last] = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise DarkroomError(
            f"--set {name}: {' '.join(str(error).split())} in the value {text!r}"
        ) from None
    if place[last] is None:
        place[last] = ""

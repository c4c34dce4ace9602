"""Change settings in a params file and leave its comments, order and form as they are."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.files.writing import write_text
from components.common.settings.edits import change_text
from components.common.settings.missing import fill_missing
from components.common.settings.params import check_params, list_settings, read_yaml, set_key
from components.common.settings.spec import SHARED_SECTIONS
from components.train.selection.rules import EPOCHS
from components.train.spec import AUTO, Params


def read_settings(file: Path) -> dict[str, Any]:
    """Return the settings of train with dotted keys, checked."""
    return list_settings("train", create_params(file, {}))


def read_present(file: Path) -> dict[str, Any]:
    """Return the settings of train, with numbers where `auto` begins with one."""
    own = create_params(file, {})
    begins = {"train.finetune.learning_rate": own.finetune.rate}
    if own.finetune.epochs == AUTO:
        begins["train.finetune.epochs"] = EPOCHS
    return list_settings("train", own) | begins


def create_params(file: Path, changes: Mapping[str, Any], where: Path | None = None) -> Params:
    """Return the settings of train from a params file, with changes.

    Args:
        file: params.yaml.
        changes: dotted key → value.
        where: the file that the changes come from, for messages.

    Raises:
        DarkroomError: if a key is unknown or a value illegal, as for params.yaml itself.
    """
    schema: dict[str, type] = {"train": Params, "mlflow": SHARED_SECTIONS["mlflow"]}
    found = copy.deepcopy(read_yaml(file))
    fill_missing(found, schema)
    for key, value in changes.items():
        set_key(found, key, value, str(where or file))
    values = check_params(where or file, {name: found[name] for name in schema}, schema)
    return dataclasses.replace(values["train"], mlflow=values["mlflow"])


def change_params(file: Path, changes: Mapping[str, Any]) -> None:
    """Write changes into a params file, whole or not at all; not a byte but the values changes.

    Args:
        file: params.yaml.
        changes: dotted key → value, a text, a number or a truth value.
    """
    create_params(file, changes)  # refuses what is illegal before anything is written
    text = change_text(file.read_text(encoding="utf-8"), changes)
    write_text(file, text, edits=True)

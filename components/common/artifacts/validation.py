"""validation.json: the verdict on the data, written by validate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.writing import read_json, write_json

SCHEMA = Schema("validation", stage="validate")


def read_validation(file: Path) -> dict[str, Any]:
    """Read the verdict on the data; its `status` is passed, warning or failed."""
    found = SCHEMA.take_off(file, read_json(file))
    if not isinstance(found, dict) or not isinstance(found.get("status"), str):
        raise DarkroomError(f"{file}: holds no status of the data; run validate again")
    return found


def write_validation(file: Path, verdict: Mapping[str, Any]) -> None:
    """Write the verdict on the data, whole or not at all."""
    write_json(file, SCHEMA.put_on(verdict))

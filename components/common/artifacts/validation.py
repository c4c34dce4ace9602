"""validation.json: the verdict on the data, written by validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import read_json


def read_validation(file: Path) -> dict[str, Any]:
    """Read the verdict on the data; its `status` is passed, warning or failed."""
    found = read_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("status"), str):
        raise DarkroomError(f"{file}: holds no status of the data; run validate again")
    return found

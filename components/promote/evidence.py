"""An evaluation as the gate reads it: named figures, their intervals, on which images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.common.errors import DarkroomError
from components.common.params import flatten


@dataclass(frozen=True)
class Evidence:
    """The figures of one model on one test split."""

    figures: dict[str, float]  # dotted name → value; `<name>.low`, `<name>.high`: interval's ends
    test_digest: str  # of the test images and their labels


def parse_evidence(found: Any, name: str) -> Evidence:
    """Read the content of a metrics.json.

    Every number in it is a figure, named by its keys with dots; `intervals` gives two more for each
    of its names.

    Args:
        found: the parsed JSON.
        name: of the file, for messages.

    Raises:
        DarkroomError: if it is no evaluation of ours.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("test_digest"), str):
        raise DarkroomError(f"{name}: holds no evaluation with a test_digest; run evaluate again")
    rest = {key: value for key, value in found.items() if key != "intervals"}
    figures = {key: float(value) for key, value in flatten(rest).items() if _is_number(value)}
    intervals = found.get("intervals")
    for key, value in flatten(intervals if isinstance(intervals, Mapping) else {}).items():
        if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
            figures[f"{key}.low"], figures[f"{key}.high"] = map(float, value)
        elif _is_number(value):  # written as {low, high}
            figures[key] = float(value)
    return Evidence(figures, found["test_digest"])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

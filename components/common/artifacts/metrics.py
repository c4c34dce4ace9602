"""metrics.json: every number in it has a name; written by evaluate, read by promote's rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.files.schema import Schema
from components.common.files.writing import read_json, write_json

SCHEMA = Schema("metrics", stage="evaluate")

# Figures of which less is better, by the last part of their name; of all others more is.
LESS_IS_BETTER = (
    "ece", "mce", "brier", "log_loss", "loss", "error", "wrong", "mistakes", "p95_ms", "median_ms",
    "mb", "bytes", "difference", "expected", "likeliest", "with_review",
)  # fmt: skip


def write_metrics(file: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json, whole or not at all."""
    write_json(file, SCHEMA.put_on(metrics))


def read_metrics(file: Path) -> Any:
    """Read metrics.json; DarkroomError where it is missing, damaged, too old or too new."""
    return SCHEMA.take_off(file, read_json(file))


def list_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return every number of metrics.json under its dotted name.

    Keys are joined with dots: `macro.f1`. An entry of a list goes by its `name`:
    `classes.shirt.recall`, `slices.camera.phone.accuracy`. A pair that is an interval gives two:
    `accuracy.low` and `accuracy.high`, `classes.shirt.recall.low`.
    """
    return dict(_walk("", metrics))


def _is_pair(value: Any) -> bool:
    numbers = isinstance(value, list) and all(isinstance(one, (int, float)) for one in value)
    return numbers and len(value) == 2


def _walk(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "intervals" and isinstance(item, Mapping):
                yield from _walk(name, {f"{one}_interval": ends for one, ends in item.items()})
            else:
                yield from _walk(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)
    elif name.endswith("_interval") and _is_pair(value):
        for end, number in zip(("low", "high"), value, strict=True):
            yield f"{name.removesuffix('_interval')}.{end}", float(number)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                yield from _walk(f"{name}.{entry['name']}", entry)


def is_less_better(metric: str) -> bool:
    """Whether a smaller figure is the better one."""
    name = metric.removesuffix(".low").removesuffix(".high")
    return name.rpartition(".")[2] in LESS_IS_BETTER

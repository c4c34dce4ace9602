"""What a params file lacks: one of an earlier version has none of the settings that came since."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.common.settings.spec import is_shared


def find_missing(found: Mapping[str, Any], schema: Mapping[str, type]) -> dict[str, Any]:
    """Return what a read params file lacks: dotted key → its default; a whole section is one key.

    Args:
        found: section name → its keys.
        schema: section name → frozen dataclass whose fields are the section's keys.
    """
    missing: dict[str, Any] = {}
    for name, kind in schema.items():
        if name in found:
            missing |= _find_missing(name, found[name], kind)
        else:
            missing[name] = _list_defaults(kind)
    return missing


def fill_missing(found: dict[str, Any], schema: Mapping[str, type]) -> None:
    """Put the default of each key that a read params file lacks into it."""
    for key, default in find_missing(found, schema).items():
        *path, last = key.split(".")
        place = found
        for part in path:
            place = place[part]
        place[last] = default


def describe_missing(file: Path, missing: Iterable[str]) -> str:
    """Say in a line which keys have their defaults because a file lacks them."""
    names = list(missing)
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
    return (
        f"{file} lacks {listed}: {'its default is' if len(names) == 1 else 'their defaults are'} "
        "used (docs/operations.md, after an update)"
    )


def _find_missing(name: str, found: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):  # whoever checks it says what is wrong
        return {}
    missing: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for key, default in _list_defaults(kind).items():
        if key not in found:
            missing[f"{name}.{key}"] = default
        elif dataclasses.is_dataclass(hints[key]):
            missing |= _find_missing(f"{name}.{key}", found[key], hints[key])
    return missing


def _list_defaults(kind: Any) -> dict[str, Any]:
    """Return the keys of a section with their defaults, as a params file would hold them."""
    default = kind()
    own = {f.name: getattr(default, f.name) for f in dataclasses.fields(kind) if not is_shared(f)}
    return {
        key: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
        for key, value in own.items()
    }

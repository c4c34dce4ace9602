"""The JSON schema of params.yaml, drawn from what the rooms declare: editors complete and check."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

from components.common.settings.spec import is_shared

DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that editors' YAML servers know
TITLE = "params.yaml of Darkroom"
# How the file begins: one that does is ours.
HEADER = f'{{\n  "$schema": "{DIALECT}",\n  "title": "{TITLE}",\n'


def create_json_schema(sections: Mapping[str, type]) -> dict[str, Any]:
    """Return the schema of params.yaml.

    Args:
        sections: section name → frozen dataclass whose fields are its keys.
    """
    from pydantic import TypeAdapter

    properties = {}
    for name, kind in sections.items():
        found = TypeAdapter(kind).json_schema(mode="validation", ref_template="{model}")
        drawn = _draw(kind, found, found.get("$defs", {}))
        properties[name] = {**drawn, "description": _first_line(kind)}
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def render(schema: Mapping[str, Any]) -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _draw(kind: Any, found: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a dataclass: every key with its meaning, none unknown."""
    hints = typing.get_type_hints(kind)
    properties = {}
    for field in dataclasses.fields(kind):
        if is_shared(field):
            continue
        own = _resolve(found["properties"][field.name], known)
        if dataclasses.is_dataclass(hints[field.name]):
            own = {**_draw(hints[field.name], own, known), "default": own.get("default")}
        else:
            # Of lists and mappings of dataclasses, such as the rules.
            for inner in typing.get_args(hints[field.name]):
                if dataclasses.is_dataclass(inner):
                    part = "items" if "items" in own else "additionalProperties"
                    own[part] = _draw(inner, own[part], known)
        own = {key: value for key, value in own.items() if key != "title" and value is not None}
        properties[field.name] = own | {"description": field.metadata.get("help", "")}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _resolve(found: Any, known: Mapping[str, Any]) -> Any:
    """Return a schema without references to others, and without the titles that repeat keys."""
    if isinstance(found, list):
        return [_resolve(one, known) for one in found]
    if not isinstance(found, dict):
        return found
    if "$ref" in found:
        rest = {key: value for key, value in found.items() if key != "$ref"}
        return _resolve({**known[found["$ref"]], **rest}, known)
    return {
        key: _resolve(value, known)
        for key, value in found.items()
        if not (key == "title" and isinstance(value, str))
    }


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]

"""Change values in the text of a params file and leave its comments, order and form as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any


def change_text(text: str, changes: Mapping[str, Any]) -> str:
    """Return a YAML text with other values; not a byte but those changes.

    Args:
        text: of a params file.
        changes: dotted key → value; a number is a place in a list: `promote.rules.1.at_least`. A
            key that is not there yet goes behind the last of the mapping that it belongs to.
    """
    for key, value in changes.items():
        *above, last = key.split(".")
        node = _find(text, above)
        found = _step(node, last)
        if found is not None:
            start, end, words = found.start_mark.index, found.end_mark.index, as_yaml(value)
        else:
            name, kept = node.value[-1]
            between = ", " if node.flow_style else f"\n{' ' * name.start_mark.column}"
            start = end = kept.end_mark.index
            words = f"{between}{last}: {as_yaml(value)}"
        text = text[:start] + words + text[end:]
    return text


def as_yaml(value: Any) -> str:
    """Return a value as YAML writes it: words without quotes where that is safe."""
    is_word = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value)
    is_other = is_word and value.lower() in ("true", "false", "null", "yes", "no", "on", "off")
    return value if is_word and not is_other else json.dumps(value, ensure_ascii=False)


def list_places(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each key and each item of a list begins, a line from 0, and its dotted key."""
    yield from _walk(_compose(text), "")


def _walk(node: Any, above: str) -> Iterator[tuple[int, str]]:
    if not isinstance(node.value, list):
        return
    for number, one in enumerate(node.value):
        key, value = one if isinstance(one, tuple) else (None, one)
        name = f"{above}{number if key is None else key.value}"
        yield (value if key is None else key).start_mark.line, name
        yield from _walk(value, f"{name}.")


def _compose(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(pure=True).compose(text)


def _find(text: str, parts: list[str]) -> Any:
    node = _compose(text)
    for part in parts:
        node = _step(node, part)
    return node


def _step(node: Any, part: str) -> Any:
    """Return what lies behind a key or a place; None where there is no such key."""
    if isinstance(node.value, list) and node.value and not isinstance(node.value[0], tuple):
        return node.value[int(part)]
    return next((value for name, value in node.value if name.value == part), None)

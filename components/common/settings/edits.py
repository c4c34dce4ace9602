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
            start, end, words = _add(text, node, f"{last}: {as_yaml(value)}")
        text = text[:start] + words + text[end:]
    return text


def _add(text: str, node: Any, words: str) -> tuple[int, int, str]:
    """Return where a new key of a mapping goes, from and to, and with what around it."""
    if not node.value:  # {}
        return node.start_mark.index, node.end_mark.index, f"{{{words}}}"
    name, last = node.value[-1]
    if node.flow_style:
        return last.end_mark.index, last.end_mark.index, f", {words}"
    while last.value and not isinstance(last.value, str) and not last.flow_style:
        inner = last.value[-1]
        last = inner[1] if isinstance(inner, tuple) else inner
    # Behind its line: a comment there is about the key before.
    end = text.find("\n", max(last.end_mark.index - 1, 0))
    if end < 0:
        return len(text), len(text), f"\n{' ' * name.start_mark.column}{words}\n"
    return end + 1, end + 1, f"{' ' * name.start_mark.column}{words}\n"


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

"""A setting that was chosen, and how params.yaml keeps in mind what it was before.

Above what init sets stands a comment, `# init: at_least: 0.7 → 0.5 · with 12 test images …`. The
next time init starts from the value before, unless somebody has changed the setting since: a rule
that was relaxed for few images is as strict as ever once there are more.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from components.common.settings.edits import as_yaml, change_text, list_places
from components.common.settings.params import flatten

BEGIN = "# init: "
NOTE = re.compile(r"(?P<key>\w+): (?P<before>.*?) → (?P<after>.*?) · ")
WIDTH = 100  # of the lines of params.yaml


@dataclass(frozen=True)
class Choice:
    """A setting, its value, and why."""

    key: str  # dotted
    value: Any
    reason: str
    before: Any

    @property
    def has_changed(self) -> bool:
        """Whether it was another before."""
        return bool(self.value != self.before)


def write_choices(text: str, choices: Sequence[Choice]) -> str:
    """Return the text of params.yaml with other values, and above each why."""
    text = change_text(text, {choice.key: choice.value for choice in choices})
    for choice in choices:
        if not choice.has_changed:
            continue
        above, _, name = choice.key.rpartition(".")
        # A rule is read as a whole, so its comment stands above all of it.
        place = above if above.rpartition(".")[2].isdigit() else choice.key
        line = next(line for line, key in list_places(text) if key == place)
        lines = text.splitlines(keepends=True)
        lead = f"{lines[line][: len(lines[line]) - len(lines[line].lstrip())]}{BEGIN}"
        words = f"{name}: {as_yaml(choice.before)} → {as_yaml(choice.value)} · {choice.reason}"
        parts = textwrap.wrap(
            words, WIDTH - len(lead), break_long_words=False, break_on_hyphens=False
        )
        lines[line:line] = [f"{lead}{part}\n" for part in parts]
        text = "".join(lines)
    return text


def undo_choices(text: str) -> str:
    """Return the text of params.yaml as it was before init, with what was changed since by hand."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not line.lstrip().startswith(BEGIN)]
    plain = "".join(kept)
    places = list(list_places(plain))
    values = _list_values(plain)
    changes: dict[str, Any] = {}
    below = 0  # number of the next line that is kept
    said = ""
    for line in lines:
        if line.lstrip().startswith(BEGIN):
            said += f" {line.strip().removeprefix(BEGIN)}"
            continue
        for note in NOTE.finditer(said):
            key = _find_key(note["key"], [name for place, name in places if place == below])
            if key and values.get(key, note["after"]) == _read(note["after"]):
                changes[key] = _read(note["before"])
        said, below = "", below + 1
    return change_text(plain, changes)


def _find_key(name: str, begun: Iterable[str]) -> str:
    """Return the dotted key that a comment speaks of, by what begins on the line below it."""
    for key in begun:
        if key.rpartition(".")[2] == name:
            return key
        if key.rpartition(".")[2].isdigit():
            return f"{key}.{name}"
    return ""


def _read(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


def _list_values(text: str) -> dict[str, Any]:
    found = _read(text)

    def spread(value: Any) -> Any:
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            value = dict(enumerate(value))
        return {k: spread(v) for k, v in value.items()} if isinstance(value, dict) else value

    return flatten(spread(found))

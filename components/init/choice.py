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
from components.common.settings.yaml import load_yaml

BEGIN, MORE = "# init: ", "  "  # of a comment, and of its further lines
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
        words = f"{name}: {_quote(choice.before)} → {_quote(choice.value)} · {choice.reason}"
        parts = textwrap.wrap(
            words,
            WIDTH - len(lead),
            subsequent_indent=MORE,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines[line:line] = [f"{lead}{part}\n" for part in parts]
        text = "".join(lines)
    return text


def undo_choices(text: str) -> str:
    """Return the text of params.yaml as it was before init, with what was changed since by hand."""
    plain, notes = _take_notes(text)
    places = list(list_places(plain))
    found = _read(plain)
    changes: dict[str, Any] = {}
    for line, words in notes:
        note = NOTE.match(words)
        key = _find_key(note["key"], [name for at, name in places if at == line]) if note else ""
        if note and key and _get(found, key) == _read(note["after"]):
            changes[key] = _read(note["before"])
    return change_text(plain, changes)


def _take_notes(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Return a text without init's comments, and these: the line that each stood above, and it."""
    kept: list[str] = []
    notes: list[tuple[int, str]] = []
    for line in text.splitlines(keepends=True):
        words = line.strip().removeprefix(BEGIN)
        if not line.lstrip().startswith(BEGIN):
            kept.append(line)
        elif words.startswith(MORE) and notes:
            notes[-1] = (len(kept), f"{notes[-1][1]} {words.strip()}")
        else:
            notes.append((len(kept), words))
    return "".join(kept), notes


def _find_key(name: str, begun: Iterable[str]) -> str:
    """Return the dotted key that a comment speaks of, by what begins on the line below it."""
    for key in begun:
        if key.rpartition(".")[2] == name:
            return key
        if key.rpartition(".")[2].isdigit():
            return f"{key}.{name}"
    return ""


def _quote(value: Any) -> str:
    """Return a value as YAML, without the signs that part a comment."""
    return as_yaml(value).replace("→", "\\u2192").replace("·", "\\u00b7")


def _read(text: str) -> Any:
    """Return what a YAML text says; None of a comment that somebody has changed into none."""
    try:
        return load_yaml(text)
    except ValueError:
        return None


def _get(found: Any, key: str) -> Any:
    """Return what stands behind a dotted key; None where there is none."""
    for part in key.split("."):
        if isinstance(found, list):
            found = found[int(part)]
        else:
            found = found.get(part) if isinstance(found, dict) else None
    return found

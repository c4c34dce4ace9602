"""Completion in bash: rooms and pipelines, their commands, their flags."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shlex
from collections.abc import Iterator

from components import ROOMS
from components.common.cli import (
    ROOM_ITSELF,
    create_command_parser,
    create_parser,
    read_commands,
)

# What a person starts beside the rooms: where each makes its parser. An image of the rooms may lack
# the pipelines, and no room imports them: they are asked by name, as rooms are.
PROGRAMS = {
    "pipelines": "pipelines.cli",
    "components.train.search": "components.train.search.__main__",
    "components.promote.summary": "components.promote.summary",
}
# What is no module of ours is left to what bash does by itself.
SCRIPT = """\
# Darkroom's commands; for this shell: source <(python -m components.init completion)
_darkroom_words() {
  case "$1" in
%s
  esac
}
_darkroom() {
  local at room name found
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    [ "${COMP_WORDS[at]}" = -m ] && break
  done
  [ "${COMP_WORDS[at]}" = -m ] || return 0
  if ((at + 1 == COMP_CWORD)); then
    found="$(_darkroom_words modules)"
  else
    room="${COMP_WORDS[at + 1]}"
    name="${COMP_WORDS[at + 2]}"
    if ((at + 2 < COMP_CWORD)) && [ -n "$(_darkroom_words "$room $name")" ]; then
      found="$(_darkroom_words "$room $name")"
    else
      found="$(_darkroom_words "$room")"
    fi
  fi
  COMPREPLY=($(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -o bashdefault -F _darkroom python python3
"""


def create_script() -> str:
    """Return the script that a shell reads."""
    lines = [f"    {shlex.quote(key)}) echo {shlex.quote(' '.join(words))} ;;"
             for key, words in list_words()]  # fmt: skip
    return SCRIPT % "\n".join(lines)


def list_words() -> Iterator[tuple[str, list[str]]]:
    """Yield what may come behind `-m`, behind each module, and behind each command of one."""
    parsers = {f"components.{room}": _list_parsers(room) for room in ROOMS}
    for name, place in PROGRAMS.items():
        if importlib.util.find_spec(name):
            parsers[name] = _list_actions(importlib.import_module(place).create_parser())
    yield "modules", list(parsers)
    for module, commands in parsers.items():
        names = [name for name in commands if name != ROOM_ITSELF]
        yield module, [*names, *_list_words(commands[ROOM_ITSELF])]
        for name in names:
            yield f"{module} {name}", _list_words(commands[name])


def _list_parsers(room: str) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a room and of its commands."""
    found = {name: create_command_parser(room, name) for name in read_commands(room)}
    if ROOM_ITSELF not in found:
        spec = importlib.import_module(f"components.{room}.spec")
        found[ROOM_ITSELF] = create_parser(room, spec)
    return found


def _list_actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return a parser and those of its commands."""
    found = {ROOM_ITSELF: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def _list_words(parser: argparse.ArgumentParser) -> list[str]:
    """Return what a parser takes: words that it knows by heart, then flags; its commands aside."""
    flags = [
        flag for action in parser._actions for flag in action.option_strings if flag[:2] == "--"
    ]
    words = [
        str(word)
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        for word in action.choices or ()
    ]
    return words + flags

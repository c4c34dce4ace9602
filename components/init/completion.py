"""Completion of `python -m components.…` in bash: rooms, their commands, their flags."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Iterator

from components import ROOMS
from components.common.cli import (
    ROOM_ITSELF,
    create_command_parser,
    create_parser,
    read_commands,
)

# What is no room of ours is left to what bash does by itself.
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
    """Yield what may come behind `-m`, behind each room, and behind each command of one."""
    yield "modules", [f"components.{room}" for room in ROOMS]
    for room in ROOMS:
        commands = read_commands(room)
        if ROOM_ITSELF in commands:
            own = create_command_parser(room, ROOM_ITSELF)
        else:
            own = create_parser(room, importlib.import_module(f"components.{room}.spec"))
        names = [name for name in commands if name != ROOM_ITSELF]
        yield f"components.{room}", [*names, *_list_flags(own)]
        for name in names:
            yield f"components.{room} {name}", _list_flags(create_command_parser(room, name))


def _list_flags(parser: argparse.ArgumentParser) -> list[str]:
    return [
        flag for action in parser._actions for flag in action.option_strings if flag[:2] == "--"
    ]

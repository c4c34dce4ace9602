"""One command line for every room, made from its spec and its commands."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from components import ROOMS
from components.common.errors import DarkroomError
from components.common.files.ownership import (
    check_apart,
    check_file,
    check_folder,
    find_real,
    writing_as,
)
from components.common.files.plain import check_all_plain, check_plain
from components.common.files.temporary import keeping_in_one_folder
from components.common.settings.addresses import refuse_credentials
from components.common.settings.flags import read_path
from components.common.settings.kubeflow import Kubeflow
from components.common.settings.machine import Machine
from components.common.settings.missing import describe_missing, find_missing
from components.common.settings.params import read_params, read_yaml, suggest
from components.common.settings.spec import SHARED_SECTIONS, is_shared
from components.common.terminal import exit_on_error, heading, speak_any_encoding
from components.common.tracking.signals import raising_on_sigterm

speak_any_encoding()  # before argparse prints a word

# Stands for the folder that params.yaml names. It is no shell that reads that name, so it may hold
# anything: DVC would put it into the command as it is, spaces and quotes and all.
SOURCE = "data.source"
# Inputs in which a pipe is one photo that cannot be read; its room says so, and goes on.
PHOTOS = ("images", "source")
# In a room's COMMANDS: the room itself, where a person types it and no stage of DVC does.
ROOM_ITSELF = ""


@dataclass(frozen=True)
class Command:
    """What a room does behind a word of its own; they stand in the COMMANDS of its `commands.py`.

    That module is imported for `--help` too: what is heavy is imported inside its functions.
    """

    help: str  # one line
    add_flags: Callable[[argparse.ArgumentParser], None]
    do: Callable[[argparse.Namespace], None]  # with the flags that were given


def run_room(room: str, argv: Sequence[str] | None = None) -> None:
    """Run a room as its spec says, or the command that the first word names.

    Both exit with 1 on a user's error, and with 2 where the flags are wrong.

    Args:
        room: name of the package below `components`.
        argv: the arguments behind the program's name; by default those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    commands = read_commands(room)
    name = words[0] if words and words[0] in commands else ROOM_ITSELF
    if name not in commands:
        _run_stage(room, words)
        return
    flags = create_command_parser(room, name).parse_args(words[1:] if name else words)
    writer = writing_as(f"{room} {name}".rstrip())
    with exit_on_error(), keeping_in_one_folder(), raising_on_sigterm(), writer:
        commands[name].do(flags)


def read_commands(room: str) -> Mapping[str, Command]:
    """Return the commands of a room, by name; none where it has no `commands.py`."""
    module = f"components.{room}.commands"
    if importlib.util.find_spec(module) is None:
        return {}
    commands: Mapping[str, Command] = importlib.import_module(module).COMMANDS
    return commands


def create_parser(room: str, spec: ModuleType) -> argparse.ArgumentParser:
    """Return the parser of a room: a required flag for each path, and the settings explained."""
    parser = argparse.ArgumentParser(
        prog=f"python -m components.{room}",
        description=_first_line(spec),
        epilog=_join(_describe_commands(room), _describe_params(room, spec.Params)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for kind, title in ((spec.Inputs, "reads"), (spec.Outputs, "writes")):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            flag = "--" + field.name.replace("_", "-")
            group.add_argument(
                flag, required=True, type=read_path, metavar="PATH", help=field.metadata["help"]
            )
    parser.add_argument(
        "--params",
        default=Path("params.yaml"),
        type=read_path,
        metavar="FILE",
        help="default: %(default)s",
    )
    return parser


def create_command_parser(room: str, name: str) -> argparse.ArgumentParser:
    """Return the parser of a command; that of the room itself also names the others."""
    command = read_commands(room)[name]
    parser = argparse.ArgumentParser(
        prog=f"python -m components.{room} {name}".rstrip(),
        description=command.help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_flags(parser)
    if name == ROOM_ITSELF:
        parser.epilog = _join(parser.epilog or "", _describe_commands(room))
    return parser


def read_room_params(file: Path, room: str) -> Any:
    """Check a whole params file and return the settings of one room.

    All sections are checked, not the room's alone: a slip in `promote` is then found when the first
    stage starts, not after an hour of training.
    """
    values = _read_values(file)
    params = _take_params(values, room)
    _say_missing(file, room, params)
    return params


def check_paths(room: str, inputs: Any, outputs: Any) -> None:
    """Refuse, before any work, to write what would take something of somebody else's place.

    Args:
        room: its name.
        inputs: of its spec.
        outputs: of its spec.

    Raises:
        DarkroomError: if an output lies in an input or the other way round, cannot be written, or
            if there is in its place what the room did not write; or if reading would not end.
    """
    written = {field.name: getattr(outputs, field.name) for field in dataclasses.fields(outputs)}
    for field in dataclasses.fields(inputs):
        source = getattr(inputs, field.name)
        check_plain(source)
        if field.name not in PHOTOS:
            check_all_plain(source)
        same = written.get(field.metadata["same_as"])
        others = {name: path for name, path in written.items() if path is not same}
        check_apart({field.name: source}, others)
        if same is not None and find_real(source) != find_real(same):
            check_apart({field.name: source}, {field.metadata["same_as"]: same})
    for name, path in written.items():
        check_apart({name: path}, {other: written[other] for other in written if other != name})
    for field in dataclasses.fields(outputs):
        check_writable(f"--{field.name.replace('_', '-')}", written[field.name])
        if field.metadata["folder"]:
            check_folder(written[field.name], room, damaged=True)
        else:
            check_file(written[field.name], damaged=field.metadata["carried"])


def _read_values(file: Path) -> dict[str, Any]:
    """Check all settings, of the environment too what would be written down; bound the memory."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    refuse_credentials(uri, "MLFLOW_TRACKING_URI", is_whole=True)
    values = read_params(file, create_schema())
    values["machine"].apply()
    return values


def _say_missing(file: Path, room: str, params: Any) -> None:
    """Say, to stderr, which settings of a room have their defaults since the file lacks them."""
    read = {room, *(field.name for field in dataclasses.fields(params) if is_shared(field))}
    schema = {name: kind for name, kind in create_schema().items() if name in read}
    if missing := find_missing(read_yaml(file), schema):
        print(f"  {describe_missing(file, missing)}", file=sys.stderr, flush=True)


def _name_source(flags: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the flags with the folder that params.yaml names where the word for it stands."""
    if Path(SOURCE) not in flags.values():
        return flags
    if not source or "\0" in source:
        raise DarkroomError(f"data.source must name a folder of images; got {source!r}")
    return {name: Path(source) if path == Path(SOURCE) else path for name, path in flags.items()}


def _take_params(values: dict[str, Any], room: str) -> Any:
    if room not in values:
        return importlib.import_module(f"components.{room}.spec").Params()
    own = values[room]
    common = {f.name: values[f.name] for f in dataclasses.fields(own) if is_shared(f)}
    return dataclasses.replace(own, **common)


def create_schema() -> dict[str, type]:
    """Return all sections of params.yaml: name → the dataclass of its keys."""
    schema: dict[str, type] = {**SHARED_SECTIONS, "machine": Machine, "kubeflow": Kubeflow}
    for name in ROOMS:
        kind = importlib.import_module(f"components.{name}.spec").Params
        if dataclasses.fields(kind):
            schema[name] = kind
    return schema


def _run_stage(room: str, words: Sequence[str]) -> None:
    """Parse a room's flags, check the params file, run the room."""
    spec = importlib.import_module(f"components.{room}.spec")
    parser = create_parser(room, spec)
    # A stage has nothing but flags, so another first word is meant as a command.
    if (commands := read_commands(room)) and words and not words[0].startswith("-"):
        hint = suggest(words[0], commands)
        parser.error(f"unknown command {words[0]}; {hint}legal commands are {', '.join(commands)}")
    flags = vars(parser.parse_args(words))
    with exit_on_error(), keeping_in_one_folder(), raising_on_sigterm(), writing_as(room):
        file = flags.pop("params")
        values = _read_values(file)
        params = _take_params(values, room)
        inputs = _take(spec.Inputs, _name_source(flags, values["data"].source))
        outputs = _take(spec.Outputs, flags)
        check_paths(room, inputs, outputs)
        heading(room, _first_line(spec))
        _say_missing(file, room, params)
        # What a room works with is imported only now: --help and a bad params.yaml answer at once.
        importlib.import_module(f"components.{room}.run").run(inputs, outputs, params)


def check_writable(flag: str, path: Path) -> None:
    """Refuse an output that cannot be written before the work, not an hour later.

    Args:
        flag: the option that names it, for the message.
        path: what is to be written; the folders above it may be missing.

    Raises:
        DarkroomError: if no folder can be made or written there.
    """
    folder = next((above for above in path.absolute().parents if os.path.lexists(above)), path)
    if not folder.is_dir():
        raise DarkroomError(f"{flag} {path}: {folder} is no folder; give another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DarkroomError(
            f"{flag} {path}: you may not write into {folder}; change its permissions, or give "
            "another path"
        )


def _take(kind: Any, flags: dict[str, Any]) -> Any:
    return kind(**{field.name: flags[field.name] for field in dataclasses.fields(kind)})


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _describe_commands(room: str) -> str:
    commands = {name: one.help for name, one in read_commands(room).items() if name}
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}  {text}" for name, text in commands.items()]
    return "\n".join(["commands (each has a --help of its own):", *lines]) if lines else ""


def _describe_params(room: str, kind: Any) -> str:
    """Return the settings that a room reads: those of its section, then of the shared ones."""
    about = f"{SOURCE}, as a PATH that is read, stands for the folder that params.yaml names there"
    shared = {f.name: f.default_factory for f in dataclasses.fields(kind) if is_shared(f)}
    parts = []
    for name, section in {room: kind, **shared}.items():
        if lines := _param_lines(section, "  "):
            parts.append(f"settings in params.yaml, section `{name}` (default):")
            parts += lines
    return "\n".join([about, "", *parts] if parts else [about])


def _param_lines(kind: Any, indent: str) -> list[str]:
    lines = []
    for field in dataclasses.fields(kind):
        if is_shared(field):
            continue
        if field.default is dataclasses.MISSING and dataclasses.is_dataclass(field.default_factory):
            lines += [f"{indent}{field.name}: {field.metadata['help']}"]
            lines += _param_lines(field.default_factory, indent + "  ")
        else:
            default = "" if field.default is dataclasses.MISSING else f" ({field.default})"
            lines.append(f"{indent}{field.name}: {field.metadata['help']}{default}")
    return lines

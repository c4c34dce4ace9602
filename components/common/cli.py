"""One command line for every room, made from its spec."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from components import ROOMS
from components.common.errors import DarkroomError
from components.common.settings.kubeflow import Kubeflow
from components.common.settings.params import read_params
from components.common.settings.spec import SHARED_SECTIONS, is_shared
from components.common.terminal import heading


def run_room(room: str, argv: Sequence[str] | None = None) -> None:
    """Parse a room's flags, check the params file, run the room; a user's error exits with 1.

    Args:
        room: name of the package below `components`; its `spec` makes the flags.
        argv: the arguments behind the program's name; by default those of this process.
    """
    spec = importlib.import_module(f"components.{room}.spec")
    flags = vars(create_parser(room, spec).parse_args(argv))
    with exit_on_error():
        params = read_room_params(Path(flags.pop("params")), room)
        inputs = _take(spec.Inputs, flags)
        outputs = _take(spec.Outputs, flags)
        heading(room, _first_line(spec))
        # What a room works with is imported only now: --help and a bad params.yaml answer at once.
        importlib.import_module(f"components.{room}.run").run(inputs, outputs, params)


def create_parser(room: str, spec: ModuleType) -> argparse.ArgumentParser:
    """Return the parser of a room: a required flag for each path, and the settings explained."""
    parser = argparse.ArgumentParser(
        prog=f"python -m components.{room}",
        description=_first_line(spec),
        epilog=_describe_params(room, spec.Params),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for kind, title in ((spec.Inputs, "reads"), (spec.Outputs, "writes")):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            flag = "--" + field.name.replace("_", "-")
            group.add_argument(
                flag, required=True, type=Path, metavar="PATH", help=field.metadata["help"]
            )
    parser.add_argument(
        "--params", default="params.yaml", metavar="FILE", help="default: %(default)s"
    )
    return parser


def read_room_params(file: Path, room: str) -> Any:
    """Check a whole params file and return the settings of one room.

    All sections are checked, not the room's alone: a slip in `promote` is then found when the first
    stage starts, not after an hour of training.
    """
    values = read_params(file, create_schema())
    if room not in values:
        return importlib.import_module(f"components.{room}.spec").Params()
    own = values[room]
    common = {f.name: values[f.name] for f in dataclasses.fields(own) if is_shared(f)}
    return dataclasses.replace(own, **common)


def create_schema() -> dict[str, type]:
    """Return all sections of params.yaml: name → the dataclass of its keys."""
    schema: dict[str, type] = {**SHARED_SECTIONS, "kubeflow": Kubeflow}
    for name in ROOMS:
        kind = importlib.import_module(f"components.{name}.spec").Params
        if dataclasses.fields(kind):
            schema[name] = kind
    return schema


class exit_on_error:  # noqa: N801 - used as a statement: `with exit_on_error():`
    """Turn a user's error into one line on stderr and exit code 1."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Print the error and exit, if it is one that the user can mend."""
        if isinstance(error, DarkroomError):
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            sys.exit(1)
        if isinstance(error, KeyboardInterrupt):
            print("stopped", file=sys.stderr, flush=True)
            sys.exit(130)


def _take(kind: Any, flags: dict[str, Any]) -> Any:
    return kind(**{field.name: flags[field.name] for field in dataclasses.fields(kind)})


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]


def _describe_params(room: str, kind: Any) -> str:
    lines = [f"settings in params.yaml, section `{room}` (default):"]
    lines += _param_lines(kind, "  ")
    return "\n".join(lines) if len(lines) > 1 else ""


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

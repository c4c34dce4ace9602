"""What else a person may type: `python -m components.validate look`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from components.common.cli import Command, read_room_params
from components.common.errors import DarkroomError
from components.common.settings.flags import read_path


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=read_path, help="of images")
    parser.add_argument("--params", type=read_path, default=Path("params.yaml"), metavar="FILE")
    parser.add_argument("--json", type=read_path, metavar="FILE", help="the same in figures")
    parser.add_argument(
        "--outline",
        type=read_path,
        metavar="FILE",
        help="the facts that `python -m components.ingest outline` wrote beside the folder",
    )


def _look(flags: argparse.Namespace) -> None:
    params = read_room_params(flags.params, "validate")
    from dataclasses import asdict

    from components.common.files.writing import read_json, write_json
    from components.common.settings.edits import as_yaml
    from components.common.terminal import say
    from components.validate.layouts.looking import look

    sampled = read_sampled(read_json(flags.outline), flags.outline) if flags.outline else None
    sight = look(flags.folder, params, sampled)
    for line in sight.lines:
        say(line)
    if flags.json:
        write_json(flags.json, asdict(sight))
        return
    # Whoever reads the JSON has them there; a person would believe that all of it holds as it is.
    for key, (value, why) in sight.settings.items():
        say(f"read with {key}: {as_yaml(value)}, which is not set so in {flags.params}: {why}")


def read_sampled(facts: Any, file: Path) -> list[str] | None:
    """Return the images that have their bytes, as ingest's outline says; None: all."""
    sampled: Any = facts.get("sampled", 0) if isinstance(facts, dict) else 0
    is_list = isinstance(sampled, list) and all(isinstance(path, str) for path in sampled)
    if not (is_list or sampled is None):
        raise DarkroomError(
            f"--outline {file}: not what `python -m components.ingest outline` wrote"
        )
    return sampled  # type: ignore[no-any-return]


COMMANDS = {
    "look": Command(
        "what names and tables of a folder say, before any image is opened", _add_look, _look
    ),
}

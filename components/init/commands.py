"""What a person types: `python -m components.init SOURCE`, or a command: schema, upgrade …."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from components.common.cli import ROOM_ITSELF, Command, check_writable, create_schema
from components.common.errors import DarkroomError
from components.common.settings.flags import number, read_path, read_word

SCHEMA = Path("params.schema.json")


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=read_word,
        help="a folder of images; an archive, or its address https://, s3://, gs:// or hf://; a "
        "folder of such a store; or digits, which come with scikit-learn",
    )
    parser.add_argument(
        "--minutes",
        type=number(0, 100_000, above=True),
        help="how long a run may take; default: no limit",
    )
    parser.add_argument("--name", default="", help="of the model; default: that of the source")
    parser.add_argument("--params", type=read_path, default=Path("params.yaml"), metavar="FILE")
    parser.epilog = (
        "Looks at names, tables and a few images, asks nothing, and changes in params.yaml only "
        "what it says, each with a reason; what you set yourself stays."
    )


def _init(flags: argparse.Namespace) -> None:
    from components.common.settings.spec import check_name
    from components.init.run import run
    from components.init.sight import ToldError
    from components.init.spec import Inputs, Outputs, Params

    if flags.name:
        check_name(flags.name, "--name")
    check_writable("--params", flags.params)
    inputs = Inputs(flags.source, create_schema(), flags.minutes, flags.name)
    try:
        run(inputs, Outputs(flags.params), Params())
    except ToldError:
        sys.exit(1)


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=read_path, default=SCHEMA, metavar="FILE")


def _write_schema(flags: argparse.Namespace) -> None:
    from components.common.files.writing import write_text
    from components.init.schema import HEADER, create_json_schema, render

    if flags.output.is_dir():
        raise DarkroomError(f"--output {flags.output}: is a folder; give the name of a file")
    check_writable("--output", flags.output)
    # The one of the project is in git, and no list of ours names it: how it begins does.
    write_text(flags.output, render(create_json_schema(create_schema())), header=HEADER)


def _add_upgrade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--params", type=read_path, default=Path("params.yaml"), metavar="FILE")
    parser.add_argument(
        "--stages",
        type=read_path,
        metavar="FILE",
        help="a dvc.yaml: add only what it names, since DVC knows no defaults",
    )
    parser.epilog = "What is in the file stays as it is; a file that lacks nothing is not written."


def _upgrade(flags: argparse.Namespace) -> None:
    from components.init.upgrade import upgrade

    upgrade(flags.params, create_schema(), flags.stages)


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "In this shell, or in ~/.bashrc: source <(python -m components.init completion)"


def _print_completion(flags: argparse.Namespace) -> None:
    from components.init.completion import create_script

    print(create_script())


COMMANDS = {
    ROOM_ITSELF: Command(
        "Look at a folder, an archive or a bucket, and write the settings that fit it.",
        _add_init,
        _init,
    ),
    "schema": Command(
        "Write the JSON schema of params.yaml, by which editors complete and check it.",
        _add_schema,
        _write_schema,
    ),
    "upgrade": Command(
        "Add to params.yaml the settings that came since it was written, with their defaults.",
        _add_upgrade,
        _upgrade,
    ),
    "completion": Command(
        "Print what makes bash complete rooms, pipelines, commands and flags.",
        _add_nothing,
        _print_completion,
    ),
}

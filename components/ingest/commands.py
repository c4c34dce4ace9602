"""What else a person may type: `python -m components.ingest outline`."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.common.cli import Command
from components.common.settings.flags import read_path


def _add_outline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="as ingest.source: digits, an archive, a folder of a store")
    parser.add_argument(
        "--folder", type=read_path, required=True, metavar="PATH", help="a new folder for the names"
    )
    parser.add_argument(
        "--facts",
        type=read_path,
        required=True,
        metavar="FILE",
        help="JSON file: what ingest is to be told, and which images have their bytes",
    )
    parser.add_argument(
        "--downloads",
        type=read_path,
        default=Path("data/archives"),
        metavar="PATH",
        help="where an archive from afar is kept; default: %(default)s",
    )


def _outline(flags: argparse.Namespace) -> None:
    from components.common.files.writing import write_json, writing_folder
    from components.ingest.outline import write_outline

    with writing_folder(flags.folder, "ingest outline") as folder:
        facts = write_outline(flags.source, folder, flags.downloads)
    write_json(flags.facts, facts)


COMMANDS = {
    "outline": Command(
        "the names in a source as a folder, with the bytes of a few images, before all is fetched",
        _add_outline,
        _outline,
    ),
}

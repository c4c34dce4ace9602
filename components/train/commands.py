"""What a person types beside the stage: `python -m components.train --list-backbones|weights`."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.common.cli import Command

SHELF = Path("data/weights")  # where networks that are fetched lie by default


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-gmacs", type=float, help="most thousand million multiply-adds")
    parser.add_argument("--max-mb", type=float, help="largest weights")
    parser.add_argument("--family", default="", help="part of the name, such as efficientnet")
    parser.add_argument("--shelf", type=Path, default=SHELF, help="default: %(default)s")


def _list_backbones(flags: argparse.Namespace) -> None:
    from components.train.networks.catalogue import Backbone, print_catalogue
    from components.train.weights.shelf import list_shelf

    fetched = [
        Backbone(str(one.folder), one.size_px, one.parameters, one.mega_macs, None, None, False)
        for one in list_shelf(flags.shelf)
        if not one.in_catalogue
    ]
    print_catalogue(fetched, flags.max_gmacs, flags.max_mb, flags.family)


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["fetch", "list", "verify"])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="fetch: a name of the catalogue, a preset of KerasHub, hf://organisation/model, or a "
        "folder that holds its files; verify: folders of the shelf, by default all",
    )
    parser.add_argument(
        "--shelf", type=Path, default=SHELF, help="folder of fetched networks; default: %(default)s"
    )


def _keep_weights(flags: argparse.Namespace) -> None:
    from components.train.weights.shelf import print_shelf, verify_shelf

    if flags.what == "list":
        print_shelf(flags.shelf)
    elif flags.what == "verify":
        verify_shelf(flags.shelf, flags.names)
    else:
        from components.common.errors import DarkroomError
        from components.train.weights.fetch import fetch

        if not flags.names:
            raise DarkroomError("weights fetch: name a network; --list-backbones prints some")
        for name in flags.names:
            fetch(name, flags.shelf)


COMMANDS = {
    "--list-backbones": Command(
        "print the pretrained networks to choose from, smallest first",
        _add_filters,
        _list_backbones,
    ),
    "weights": Command(
        "fetch pretrained networks into folders, list them, verify them",
        _add_weights,
        _keep_weights,
    ),
}

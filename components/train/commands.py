"""What a person types beside the stage: `python -m components.train --list-backbones|weights`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.cli import Command
from components.train.spec import SHELF

if TYPE_CHECKING:
    from components.train.networks.catalogue import Backbone


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-gmacs", type=float, help="most thousand million multiply-adds")
    parser.add_argument("--max-mb", type=float, help="largest weights")
    parser.add_argument("--family", default="", help="part of the name, such as efficientnet")
    parser.add_argument("--licence", default="", help="part of the licence, such as apache")
    parser.add_argument("--shelf", type=Path, default=SHELF, help="default: %(default)s")
    parser.add_argument(
        "--minutes", type=float, help="name the best that trains in that time here: steps are timed"
    )
    parser.add_argument(
        "--memory-gb", type=float, help="with --minutes: what training may take; default: what is "
        "free"
    )  # fmt: skip
    parser.add_argument(
        "--images", type=int, default=1000, help="with --minutes: photos; default: %(default)s"
    )


def _list_backbones(flags: argparse.Namespace) -> None:
    from components.train.networks.catalogue import Backbone, filter_backbones, print_backbones
    from components.train.networks.weights.shelf import list_shelf

    fetched = [
        Backbone(
            str(one.folder),
            one.size_px,
            one.parameters,
            one.mega_macs,
            None,
            None,
            False,
            folder=one.folder,
            licence=one.licence,
        )
        for one in list_shelf(flags.shelf)
        if not one.in_catalogue
    ]
    rows = filter_backbones(fetched, flags.max_gmacs, flags.max_mb, flags.family, flags.licence)
    print_backbones(rows)
    if flags.minutes is not None:
        _suggest(rows, flags)


def _suggest(rows: Sequence[Backbone], flags: argparse.Namespace) -> None:
    """Name the best of some networks that a budget holds."""
    from components.common.errors import DarkroomError
    from components.common.host import find_free_memory
    from components.train.finetuning.suggest import Budget, suggest_backbone

    memory = find_free_memory() if flags.memory_gb is None else flags.memory_gb * 1e9
    if flags.minutes <= 0 or memory <= 0 or flags.images < 1:
        raise DarkroomError("--list-backbones: --minutes, --memory-gb and --images are above 0")
    found = suggest_backbone(rows, Budget(flags.minutes, memory, flags.images))
    what = f"{flags.images:,} photos, {flags.minutes:g} min and {memory / 1e9:.1f} GB"
    if found is None:
        raise DarkroomError(
            f"--list-backbones: none of them fits {what}: give more, or train the probe alone "
            "(train.finetune.epochs: 0)"
        )
    print(
        f"\nthe best that fits {what}: {found.name}\ndvc exp run -S train.backbone={found.name} "
        f"-S preprocess.size_px={found.size_px}"
    )


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
    from components.train.networks.weights.shelf import print_shelf, verify_shelf

    if flags.what == "list":
        print_shelf(flags.shelf)
    elif flags.what == "verify":
        verify_shelf(flags.shelf, flags.names)
    else:
        from components.common.errors import DarkroomError
        from components.train.networks.weights.fetch import fetch

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

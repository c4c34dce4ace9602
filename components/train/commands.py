"""What a person types beside the stage: `python -m components.train --list-backbones|weights`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.cli import Command
from components.common.settings.flags import count, number, read_path, read_word
from components.train.spec import SHELF

if TYPE_CHECKING:
    from components.train.networks.catalogue import Backbone


PHOTOS = 1000  # of a small set


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-gmacs", type=number(0), help="most thousand million multiply-adds")
    parser.add_argument("--max-mb", type=number(0), help="largest weights")
    parser.add_argument("--family", default="", help="part of the name, such as efficientnet")
    parser.add_argument("--licence", default="", help="part of the licence, such as apache")
    parser.add_argument("--shelf", type=read_path, default=SHELF, help="default: %(default)s")
    parser.add_argument(
        "--hub", action="store_true", help="also KerasHub's presets, which it says less of"
    )
    parser.add_argument(
        "--minutes",
        type=number(0, 1e6, above=True),
        help="name the best that trains in that time here: steps are timed",
    )
    parser.add_argument(
        "--memory-gb",
        type=number(0, 1e6, above=True),
        help="with --minutes: what training may take; default: what is free",
    )
    parser.add_argument(
        "--images",
        type=count(1, 10**9),
        help=f"with --minutes: photos; default: {PHOTOS}",
    )


def _list_backbones(flags: argparse.Namespace) -> None:
    from components.common.errors import DarkroomError

    if flags.minutes is None and (flags.memory_gb or flags.images):
        raise DarkroomError("--list-backbones: --memory-gb and --images go with --minutes")
    _check_shelf(flags.shelf)
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
    if flags.hub:
        from components.train.networks.published.hub import list_presets

        fetched += list_presets()
    rows = filter_backbones(fetched, flags.max_gmacs, flags.max_mb, flags.family, flags.licence)
    print_backbones(rows)
    if flags.minutes is not None:
        _suggest(rows, flags)


def _suggest(rows: Sequence[Backbone], flags: argparse.Namespace) -> None:
    """Name the best of some networks that a budget holds."""
    from components.common.errors import DarkroomError
    from components.common.host import find_free_memory
    from components.train.finetuning.suggest import Budget, suggest_backbone

    if not any(row.top1 is not None for row in rows):
        raise DarkroomError(
            "--list-backbones: the filters leave no network with a published accuracy, by which "
            "--minutes chooses: let more through"
        )
    memory = find_free_memory() if flags.memory_gb is None else flags.memory_gb * 1e9
    images = flags.images or PHOTOS
    found = suggest_backbone(rows, Budget(flags.minutes, memory, images))
    what = f"{images:,} photos, {flags.minutes:g} min and {memory / 1e9:.3g} GB"
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
        type=read_word,
        metavar="NAME",
        help="fetch: a name of the catalogue, a preset of KerasHub, hf://organisation/model, or a "
        "folder that holds its files; verify: folders of the shelf, by default all",
    )
    parser.add_argument(
        "--shelf",
        type=read_path,
        default=SHELF,
        help="folder of fetched networks; default: %(default)s",
    )


def _check_shelf(shelf: Path) -> None:
    """Refuse as a shelf what is no folder; one that is not there is empty."""
    from components.common.errors import DarkroomError

    if shelf.exists() and not shelf.is_dir():
        raise DarkroomError(f"--shelf {shelf}: is no folder; give one that holds networks")


def _keep_weights(flags: argparse.Namespace) -> None:
    from components.common.errors import DarkroomError
    from components.train.networks.weights.shelf import print_shelf, verify_shelf

    _check_shelf(flags.shelf)
    if flags.what == "list":
        if flags.names:
            raise DarkroomError("weights list: lists all of --shelf, and takes no names")
        print_shelf(flags.shelf)
    elif flags.what == "verify":
        verify_shelf(flags.shelf, flags.names)
    else:
        if not flags.names:
            raise DarkroomError("weights fetch: name a network; --list-backbones prints some")
        from components.train.networks.weights.fetch import fetch

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

"""What a person types beside the stage: `python -m components.train --list-backbones`."""

from __future__ import annotations

import argparse

from components.common.cli import Command


def _list_backbones(_: argparse.Namespace) -> None:
    from components.train.networks.catalogue import print_catalogue

    print_catalogue()


COMMANDS = {
    "--list-backbones": Command(
        "print the pretrained networks to choose from, smallest first",
        lambda parser: None,
        _list_backbones,
    )
}

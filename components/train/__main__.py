"""Command line of train; `--list-backbones` prints the networks that there are."""

import sys

from components.common.cli import run_room

if __name__ == "__main__":
    if sys.argv[1:] == ["--list-backbones"]:
        from components.train.networks.backbones import print_catalogue

        print_catalogue()
    else:
        run_room("train")

"""Command line: `python -m components.init --help`."""

from components.common.cli import run_room

if __name__ == "__main__":
    run_room("init")

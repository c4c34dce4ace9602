"""Command line: `python -m components.promote --help`."""

from components.common.cli import run_room

if __name__ == "__main__":
    run_room("promote")

"""Command line: `python -m components.preprocess --help`."""

from components.common.cli import run_room

if __name__ == "__main__":
    run_room("preprocess")

"""Command line: `python -m components.promote --help`, or `approve`, `rollback`, `history`."""

import sys

from components.common.cli import run_room
from components.promote import commands

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in commands.NAMES:
        commands.main()
    else:
        run_room("promote")

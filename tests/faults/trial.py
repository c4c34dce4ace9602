"""A try: one room or command, in a project of its own, with dice that decide when a fault comes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.project import Line, Stage, start

# Whoever waits longer than ten times the slowest room, as slow as the machine is now, hangs.
LIMIT_SECONDS, LIMIT_ROOMS = 300, 10
Kind = Callable[["Trial"], list[int]]


@dataclass
class Trial:
    """A room, a project of its own in the state before that room, and the dice."""

    line: Line
    stage: Stage
    folder: Path
    dice: random.Random

    def start(self, fault: str = "", **variables: str) -> subprocess.Popen[str]:
        return start(self.stage, self.folder, fault, **variables)

    def draw_touch(self) -> int:
        return self.dice.randint(1, max(1, self.line.touches[self.stage.name]))

    def wait(self, process: subprocess.Popen[str]) -> int:
        limit = max(LIMIT_SECONDS, LIMIT_ROOMS * max(self.line.seconds.values()))
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"hung for {limit:.0f} s") from None


class NotTried(Exception):  # noqa: N818 - it is none
    """A fault that this room, or this machine, cannot have; with the reason."""

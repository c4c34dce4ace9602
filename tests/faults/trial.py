"""A try: one room or command, in a project of its own, with dice that decide when a fault comes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.project import Line, Stage, start

LIMIT_SECONDS = 300  # ten times the slowest room; whoever waits longer hangs
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
        return self.dice.randint(1, self.line.touches[self.stage.name])

    def wait(self, process: subprocess.Popen[str]) -> int:
        try:
            return process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"hung for {LIMIT_SECONDS} s") from None


class NotTried(Exception):  # noqa: N818 - it is none
    """A fault that this room, or this machine, cannot have; with the reason."""

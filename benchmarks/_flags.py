"""Flags of a benchmark: what is missing is told in a line, with what to type."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn


class Flags(argparse.ArgumentParser):
    """A parser that says in one line what a benchmark needs."""

    def __init__(self, file: str, about: str | None, example: str) -> None:
        """Create it.

        Args:
            file: `__file__` of the benchmark.
            about: its docstring.
            example: words that it runs with.
        """
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(description=about, formatter_class=form)
        self.bench, self.example = Path(file).stem, example

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        words = f'make bench BENCH={self.bench} ARGS="{self.example}"'
        self.exit(2, f"{self.bench}: {message}; such as: {words}\n")

    def add_subparsers(self, **more: Any) -> Any:
        """Return the commands, whose own slips argparse tells."""
        return super().add_subparsers(parser_class=argparse.ArgumentParser, **more)

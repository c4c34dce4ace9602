"""Flags of a benchmark: what is missing is told in a line, with what to type."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn


def existing(text: str) -> Path:
    """Return a path that is there: the type of a flag that names what is read."""
    found = Path(text).expanduser()
    if not found.exists():
        raise argparse.ArgumentTypeError(f"{text} is not there")
    return found


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

    def need_archives(self, flags: argparse.Namespace, sources: Mapping[str, str]) -> None:
        """End with one line where a set is asked for whose photos are not given.

        Args:
            flags: what was typed.
            sources: name of a set → the flag that names its photos; digits need none.
        """
        for name, source in sources.items():
            if source != "digits" and getattr(flags, source) is None:
                self.error(f"set {name} needs --{source} ARCHIVE")

    def add_subparsers(self, **more: Any) -> Any:
        """Return the commands, whose own slips argparse tells."""
        return super().add_subparsers(parser_class=argparse.ArgumentParser, **more)

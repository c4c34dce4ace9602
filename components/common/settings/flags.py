"""What is typed behind a flag: what is out of range, or empty, is refused before any work.

An empty word is seldom meant: it is what a shell makes of a variable that is not set. As a path it
would stand for the folder one is in, as a version or a date for the default.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def read_word(text: str) -> str:
    """Return a word that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: leave it out, or say what is meant")
    return text


def read_path(text: str) -> Path:
    """Return a path; the one of no letters is no path."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a path; . is the folder you are in")
    return Path(text)


def number(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """Return what reads a number of a range; NaN and infinity are in none.

    Args:
        low: the least.
        high: the most.
        above: `low` itself is too little.
    """

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low < value if above else low <= value) or value > high or math.isinf(value):
            raise argparse.ArgumentTypeError(f"{text!r}: legal is {_describe(low, high, above)}")
        return value

    return read


def count(low: int, high: float = math.inf) -> Callable[[str], int]:
    """Return what reads a whole number of a range, ends included."""

    def read(text: str) -> int:
        # No machine needs 18 digits, and of thousands Python reads none.
        value = int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r}: legal is a whole number, {_describe(low, high, False)}"
            )
        return value

    return read


def _describe(low: float, high: float, above: bool) -> str:
    if math.isinf(high):
        return f"more than {low:g}" if above else f"{low:g} or more"
    return f"{'more than ' if above else ''}{low:.15g} to {high:.15g}"

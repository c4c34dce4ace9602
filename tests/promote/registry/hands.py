"""A person at the registry: what is typed, what it says, and the ledger afterwards."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from components.common.cli import run_room
from components.common.tracking.server import import_mlflow
from components.promote.registry.book import Book
from components.promote.registry.ledger import Ledger


def read() -> Book:
    return Ledger(import_mlflow(), "darkroom").read()


def call(*words: str) -> None:
    run_room("promote", [*words, "--name", "darkroom"])


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must fail, and return all that it says."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        call(*words)
    told = capsys.readouterr()
    return told.out + told.err


def client() -> Any:
    return import_mlflow().MlflowClient()


def obey(text: str, which: str = "repair") -> None:
    """Run the command that a message gives, as it stands there."""
    found = re.findall(rf"python -m components\.promote ({which}[^;,\n(]*)", text)
    assert found, text
    words = found[0].split(" to have it so")[0].strip().rstrip(".")
    words = words.replace("NAME", "Ada").replace("TEXT", "'it was a slip'")
    run_room("promote", shlex.split(words))

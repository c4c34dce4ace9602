"""A person at the registry: what is typed, what it says, and the ledger afterwards."""

from __future__ import annotations

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

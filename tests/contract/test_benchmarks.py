"""Benchmarks run by hand only, so it is seen here that what they take from elsewhere is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("benchmarks", "components", "pipelines", "tests")


@cache
def list_names(file: Path) -> frozenset[str]:
    """Return what a module defines or imports at its top, in the branches there too."""
    names: set[str] = set()
    waiting: list[ast.stmt] = list(ast.parse(file.read_text(encoding="utf-8")).body)
    while waiting:
        found = waiting.pop()
        if isinstance(found, ast.If | ast.Try | ast.With):
            waiting += [one for one in ast.iter_child_nodes(found) if isinstance(one, ast.stmt)]
        elif isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(found.name)
        elif isinstance(found, ast.Import | ast.ImportFrom):
            names |= {(one.asname or one.name).split(".")[0] for one in found.names}
        else:
            names |= {
                one.id
                for one in ast.walk(found)
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
            }
    return frozenset(names)


def find_missing(module: str, names: list[str]) -> list[str]:
    """Return which of some names are not in a module of this project."""
    place = ROOT.joinpath(*module.split("."))
    file = place.with_suffix(".py")
    if not file.is_file():
        file = place / "__init__.py"
    there = list_names(file) if file.is_file() else frozenset()
    return [
        f"{module}.{name}"
        for name in names
        if name not in there
        and not (place / name).is_dir()
        and not (place / f"{name}.py").is_file()
    ]


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_takes_from_elsewhere_is_there(file: Path) -> None:
    missing = []
    for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(found, ast.ImportFrom) and str(found.module).split(".")[0] in OWN:
            missing += find_missing(str(found.module), [one.name for one in found.names])
    assert not missing


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("benchmarks/[a-z]*.py")), ids=lambda file: file.stem
)
def test_who_has_read_enough_of_a_benchmark_sees_no_traceback(file: Path) -> None:
    """`| head` closes the pipe: what prints may end without a word, as the rooms do."""
    text = file.read_text(encoding="utf-8")
    if "__main__" in text and re.search(r"^from components\.", text, re.MULTILINE):
        assert "    with exit_on_error():\n        main(" in text

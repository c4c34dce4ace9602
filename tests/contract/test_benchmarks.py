"""Benchmarks run by hand only, so it is seen here that what they take from elsewhere is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
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


# What a benchmark writes, or makes where it is not there yet; whatever else it is given, it reads.
WRITTEN = {"--answers", "--cache", "--folder", "--keep", "--log", "--picture", "--results"}


def test_what_is_given_to_read_and_is_not_there_is_told_in_a_line() -> None:
    for file in sorted(ROOT.glob("benchmarks/[a-z]*.py")):
        text = file.read_text(encoding="utf-8")
        paths = set(re.findall(r'add_argument\(\s*"([\w-]+)", type=Path\b', text))
        assert paths <= WRITTEN, f"{file.name}: type=existing, of benchmarks/_flags.py"
    done = subprocess.run(
        [sys.executable, "benchmarks/damage.py", "--photos", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (
        "damage: argument --photos: nowhere is not there; "
        'such as: make bench BENCH=damage ARGS="--photos data/photos"\n'
    )


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_takes_from_elsewhere_is_there(file: Path) -> None:
    missing = []
    for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(found, ast.ImportFrom) and str(found.module).split(".")[0] in OWN:
            missing += find_missing(str(found.module), [one.name for one in found.names])
    assert not missing


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(ROOT.glob("benchmarks/[a-z]*.py")) if "__main__" in file.read_text()]
    + [ROOT / "tests" / name / "__main__.py" for name in ("faults", "fuzz")],
    ids=lambda file: f"{file.parent.name}/{file.stem}",
)
def test_a_reader_of_its_lines_may_have_enough(file: Path) -> None:
    """`python benchmarks/coverage.py | head` ends without a word, and an error with one line."""
    begins = ast.parse(file.read_text(encoding="utf-8")).body[-1]
    assert isinstance(begins, ast.If), "what is started stands last"
    (own,) = [one for one in begins.body if isinstance(one, ast.With)]
    assert ast.unparse(own.items[0]) == "exit_on_error()"

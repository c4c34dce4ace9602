"""What messages and pages say to install is what the project itself asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_what_is_said_to_install_is_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {need for name in extras for need in extras[name]} | set(project["dependencies"])
    said = {}
    for folder, suffix in (("components", "*.py"), ("docs", "*.md")):
        for file in sorted((ROOT / folder).rglob(suffix)):
            text = file.read_text(encoding="utf-8")
            # The project is in no index: whoever took its name there would be installed instead.
            assert "install 'darkroom" not in text, file
            said |= dict.fromkeys(re.findall(r"'([\w.-]+>=[\d.]+[^']*)'", text), file)
            said |= dict.fromkeys(re.findall(r'"([\w.-]+>=\d+\.[\d.]+[^" ]*)"', text), file)
    assert len(said) >= 6
    assert {need: file for need, file in said.items() if need not in asked} == {}


def test_the_pages_name_the_pythons_that_the_project_takes() -> None:
    taken = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first, behind = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", taken).groups())
    said = f"Python 3.{first} to 3.{behind - 1}"
    for page in ("README.md", "Makefile"):
        assert said in (ROOT / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize(
    ("version", "is_taken"), [("3, 10", False), ("3, 11", True), ("3, 13", True), ("3, 14", False)]
)
def test_make_tells_which_python_it_needs_before_it_installs(
    tmp_path: Path, version: str, is_taken: bool
) -> None:
    python = tmp_path / "another python"
    write_python(python, version)
    said = set_up(tmp_path, f"PYTHON={python}")
    assert ("it would install now" if is_taken else "Darkroom needs Python 3.11 to 3.13") in said
    assert said.count("it would install now") == is_taken


def test_make_finds_a_python_that_fits(tmp_path: Path) -> None:
    for name, version in {"python3": "3, 9", "python3.13": "3, 13", "python3.12": "3, 12"}.items():
        write_python(tmp_path / "bin" / name, version)
    for name in ("python3.13", "python3.12"):
        said = set_up(tmp_path)
        assert f"it would install now: {tmp_path}/bin/{name} -m venv .venv" in said
        (tmp_path / "bin" / name).unlink()
    (tmp_path / "bin/python3.11").write_text("#!/bin/false")  # found nowhere else on PATH
    (tmp_path / "bin/python3.11").chmod(0o755)
    said = set_up(tmp_path)
    assert "python3 is another, or none" in said
    assert "make PYTHON=" in said


def write_python(file: Path, version: str) -> None:
    """Write a program that answers as a Python of some version, and says what it would install."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = ({version}, 0)\n"
        "if sys.argv[1] == '-c':\n"
        "    exec(sys.argv[2])\n"
        "sys.exit('it would install now: ' + ' '.join(sys.argv))\n"
    )
    file.chmod(0o755)


def set_up(folder: Path, *words: str) -> str:
    """Return what make setup says in a project of nothing but a Makefile and empty locks."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements").mkdir(exist_ok=True)
    for lock in ("uv", "run"):
        (folder / f"requirements/{lock}.lock").touch()
    return subprocess.run(
        ["make", "setup", *words],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    ).stderr

"""What messages and pages say to install is what the project itself asks for."""

from __future__ import annotations

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
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for lock in ("uv", "run"):
        (tmp_path / f"requirements/{lock}.lock").touch()
    python = tmp_path / "another-python"  # says what it is asked, as one of that version
    python.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = ({version}, 0)\n"
        "if sys.argv[1] == '-c':\n"
        "    exec(sys.argv[2])\n"
        "sys.exit('it would install now')\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    wanted = "it would install now" if is_taken else "Darkroom needs Python 3.11 to 3.13"
    assert wanted in done.stderr, done.stderr
    assert done.stderr.count("it would install now") == is_taken

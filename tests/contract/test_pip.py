"""What messages and pages say to install is what the project itself asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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

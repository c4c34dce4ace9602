"""docs/house.md shows the house as it is."""

from __future__ import annotations

import re
from pathlib import Path

from .house import PICTURE, draw

ROOT = Path(__file__).parents[2]


def test_the_picture_is_drawn_from_this_code() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run: python tests/contract/house.py"


def test_every_path_on_the_page_is_there() -> None:
    page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:components|pipelines|tests|docs|benchmarks)/[^`\s*<>]+)`", page)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_no_folder_shows_more_than_fourteen_names() -> None:
    for top in ("components", "pipelines"):
        for folder in [ROOT / top, *(ROOT / top).rglob("*/")]:
            if "__pycache__" not in folder.parts:
                shown = [f.name for f in folder.iterdir() if f.name != "__pycache__"]
                assert len(shown) <= 14, f"{folder}: {len(shown)} names"


def test_every_inner_room_says_in_a_line_what_lives_there_and_who_may_come_in() -> None:
    for init in (ROOT / "components").glob("*/*/__init__.py"):
        (line,) = init.read_text(encoding="utf-8").splitlines()
        assert re.fullmatch(r'"""[A-Z].+; .+\."""', line), f"{init}: {line}"

"""The pages that people open are one product: a colour of a name is the same on all of them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "components"
REPORT = ROOT / "evaluate/report/templates/style.css"
PAGES = (
    ROOT / "validate/data_docs/templates/page.html.j2",
    ROOT / "validate/data_docs/templates/site.css",
    ROOT / "predict/serve/page.html",
    ROOT / "predict/suggest/page.css",
)
COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{3,6})\b")


def read_palette(page: Path) -> list[dict[str, str]]:
    """Return the colours of light and, where a page has it, of dark."""
    blocks = re.findall(r":root\s*\{([^}]*)\}", page.read_text(encoding="utf-8"))
    return [dict(COLOUR.findall(block)) for block in blocks]


def test_a_colour_is_the_same_on_every_page() -> None:
    ours = read_palette(REPORT)
    assert len(ours) == 2
    for page in PAGES:
        found = read_palette(page)
        assert found, page
        for own, theirs in zip(ours, found, strict=False):
            assert theirs.items() <= own.items(), f"{page}: {theirs.items() - own.items()}"


def test_no_page_has_a_colour_without_a_name() -> None:
    for page in PAGES:
        text = re.sub(r":root\s*\{[^}]*\}", "", page.read_text(encoding="utf-8"))
        assert re.findall(r":[^;{]*(#[0-9a-f]{3,6})\b", text) == [], page

"""What MLflow's pages show of names that mean something to Markdown, HTML or a shell."""

from __future__ import annotations

import pytest

from components.common.artifacts.model import ModelCard
from components.common.images.pixels import ImageForm
from components.promote.registry.page import MOST_CHARACTERS, describe_model, describe_version

NAMES = [
    "a|b",
    "<img src=x onerror=alert(1)>",
    "**bold**",
    "`tick`",
    "line\nbreak",
    "[x](http://y)",
]
NAMES += ["# head", "_under_", "back\\slash", "k\u00e4se", "long" * 100]


def make_card(names: list[str]) -> ModelCard:
    return ModelCard(names, ImageForm(8, "crop", "#ffffff"), "net", "none", 1.0, "probe")


def describe(name: str, names: list[str]) -> list[str]:
    verdict = {
        "verdict": "rejected",
        "words": f"recall of {names[0]} 0.1 is not at least 0.5\nworst",
        "figures": {"accuracy": 0.5},
        "run_id": "r",
        "model": name,
        "version": "1",
        "lineage": {},
        "rules": [],
    }
    card = make_card(names)
    return [describe_model(name, card), describe_version(verdict, card, "1")]


@pytest.mark.parametrize("first", NAMES)
def test_names_are_shown_as_they_are(first: str) -> None:
    """markdown-it is what a page of MLflow's kind does with it; HTML stays switched on."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True})
    for text in describe("darkroom", [first, *NAMES]):
        html = markdown.render(text)
        for sign in ("<img", "<em>", 'href="http://y', "<h1>"):
            assert sign not in html
        assert "&lt;img src=x onerror=alert(1)&gt;" in html
        assert "**bold**" in html
        assert "`tick`" in html
        assert "line break" in html
        assert "Ask it:" in html  # the long name leaves room
        assert len(text) <= MOST_CHARACTERS


def test_commands_name_a_model_as_a_shell_takes_it() -> None:
    model, version = describe("dark room", ["a", "b"])
    assert "--model 'models:/dark room@champion'" in model
    assert "--model 'models:/dark room/1'" in version

"""Names that others gave, in Markdown: they read as they are, and command nothing."""

from __future__ import annotations

from components.common.files.markdown import escape_markdown, quote_code


def test_signs_are_shown_and_turn_no_line_round() -> None:
    """A class of a model card wrote the rest of its line backwards, and coloured the terminal."""
    name = "\u202egnp.\x1b[31m\texe\nb"
    assert quote_code(name) == "`\\u202egnp.\\x1b[31m\\texe b`"
    assert escape_markdown(name) == "\\\\u202egnp.\\\\x1b\\[31m\\\\texe b"

"""What is put into the model card stays in its line and its cell, whatever a class is called."""

from __future__ import annotations

import pytest

from components.evaluate.report.templating import create_environment


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a|b", r"a\|b"),
        ("new\nline\r\nand", "new line and"),
        ("<b>x</b>", "&lt;b>x&lt;/b>"),
        ("p < 0.05", "p < 0.05"),
        ("cat's (1) ü 🎉", "cat's (1) ü 🎉"),
        (3, "3"),
    ],
)
def test_any_name_stays_in_its_cell(name: object, expected: str) -> None:
    template = create_environment(is_html=False).from_string("| {{ name }} |")
    assert template.render(name=name) == f"| {expected} |"

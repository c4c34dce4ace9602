"""What is put into the model card stays in its line and its cell, whatever a class is called."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest

from components.common.artifacts.label_issues import (
    LabelIssue,
    read_label_issues,
    write_label_issues,
)
from components.evaluate.report.templating import create_environment
from components.predict.answers import open_output


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
def test_what_is_written_stays_in_its_cell(name: object, expected: str) -> None:
    template = create_environment(is_html=False).from_string("| {{ name }} |")
    assert template.render(name=name) == f"| {expected} |"


NAMES = (
    "a|b", r"a\|b", "|", "\\", "a\\", "*x*", "_y_", "t_shirt", "`c`", "``", "[l](u)", "![i](u)",
    "<b>x", "<!-- x", "&lt;", "~~s~~", "$x$", "# h", "- x", "1. x", "=1+1", "NA", "x, y", '"q"',
)  # fmt: skip


def test_any_name_is_read_as_it_is() -> None:
    """Rendered by a Markdown parser of CommonMark with tables, each name comes out unchanged."""
    from markdown_it import MarkdownIt

    lines = "| class | n |\n|---|---|\n{% for one in names %}| {{ one }} | 7 |\n{% endfor %}\n"
    text = create_environment(is_html=False).from_string(lines).render(names=NAMES)
    parser = MarkdownIt().enable(["table", "strikethrough"])
    cells = [html.unescape(one) for one in re.findall(r"<td>(.*?)</td>", parser.render(text))]
    assert cells == [one for name in NAMES for one in (name, "7")]
    code = create_environment(is_html=False).from_string("{{ name | code }}")
    for name in NAMES:
        assert (
            html.unescape(parser.render(code.render(name=name))) == f"<p><code>{name}</code></p>\n"
        )


@pytest.mark.parametrize("name", ["NA", "null", "007", "a\rb", "a\nb", 'x,"y"'])
def test_a_name_comes_back_from_csv(name: str, tmp_path: Path) -> None:
    issue = LabelIssue("p.png", "train", name, name, 0.1, 0.9, "ab")
    write_label_issues(tmp_path / "issues.csv", [issue])
    (row,) = read_label_issues(tmp_path / "issues.csv")
    assert (row["label"], row["suggested"]) == (name, name)
    answer = {"path": "p", "label": name, "probability": 0.5, "unsure": True, "reason": ""}
    with open_output(str(tmp_path / "answers.csv"), ["sets"]) as write:
        write([answer | {"sets": [name, "b"]}])
    with (tmp_path / "answers.csv").open(newline="") as stream:
        header, found = csv.reader(stream)
    assert header == ["path", "label", "probability", "unsure", "reason", "sets"]
    assert (found[1], json.loads(found[5])) == (name, [name, "b"])

"""Texts that others named, such as classes and files, inside Markdown."""

from __future__ import annotations

import re

# What would start or end something: a cell, emphasis, a link, code, a deletion, a formula.
SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
TAG, ENTITY = re.compile(r"<(?=[A-Za-z/!?])"), re.compile(r"&(?=#?\w+;)")


def escape_markdown(text: str) -> str:
    """Return a text that reads as it is, in its line and its cell, and is no HTML."""
    line = " ".join(text.splitlines())
    return TAG.sub("&lt;", SPECIAL.sub(r"\\\g<0>", ENTITY.sub("&amp;", line)))


def quote_code(text: str) -> str:
    """Return a text as a code span, which holds whatever backticks are in it (CommonMark 6.1)."""
    line = " ".join(text.splitlines())
    runs = {len(run) for run in re.findall("`+", line)}
    fence = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"

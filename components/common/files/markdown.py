"""Texts that others named, such as classes and files, inside Markdown."""

from __future__ import annotations

import re

# What would start or end something: a cell, emphasis, a link, code, a deletion, a formula.
SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
TAG, ENTITY = re.compile(r"<(?=[A-Za-z/!?])"), re.compile(r"&(?=#?\w+;)")


# Signs that a terminal obeys, and those that turn what follows around.
SIGNS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _join_lines(text: str) -> str:
    """Return a text in one line, its signs shown by their numbers."""
    line = " ".join(text.splitlines())
    return SIGNS.sub(lambda sign: sign.group().encode("unicode_escape").decode(), line)


def escape_markdown(text: str) -> str:
    """Return a text that reads as it is, in its line and its cell, and is no HTML."""
    line = _join_lines(text)
    return TAG.sub("&lt;", SPECIAL.sub(r"\\\g<0>", ENTITY.sub("&amp;", line)))


def quote_code(text: str) -> str:
    """Return a text as a code span, which holds whatever backticks are in it (CommonMark 6.1)."""
    line = _join_lines(text)
    runs = {len(run) for run in re.findall("`+", line)}
    fence = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"

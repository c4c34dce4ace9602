"""Cells of a CSV table that a person opens: a spreadsheet runs a cell that begins as a formula."""

from __future__ import annotations

import re

STANDARD_INPUT = "-"  # a name that predict takes and gives; alone it is no formula
# OWASP's list, with the wide forms that Excel reads alike where Japanese or Chinese is typed.
_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
# An apostrophe before it is one more text that must come back as it was.
_FORMULA = re.compile(f"'*[{re.escape(_SIGNS)}]")
_SHIELDED = re.compile(f"'+[{re.escape(_SIGNS)}]")


def shield_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with the apostrophe they know."""
    return f"'{text}" if _FORMULA.match(text) else text


def unshield_text(cell: str) -> str:
    """Return the text that :func:`shield_text` was given."""
    return cell[1:] if _SHIELDED.match(cell) else cell


def shield_path(path: str) -> str:
    """Return a path that no spreadsheet takes for a formula, and that names the same file."""
    begins = path.startswith(tuple(_SIGNS))
    return f"./{path}" if begins and path != STANDARD_INPUT else path

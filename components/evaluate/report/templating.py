"""The templates of the report and of the model card, and how they write numbers."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from components.common.files.markdown import escape_markdown, quote_code

TEMPLATES = Path(__file__).parent / "templates"


def create_environment(is_html: bool = True) -> Any:
    """Return Jinja's environment over the folder `templates`; HTML escapes what it is given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=is_html,  # noqa: S701 - Markdown has an escape of its own
        finalize=None if is_html else finish_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "number": number,
        "decimal": decimal,
        "code": lambda text: Code(quote_code(str(text))),
    }
    return environment


class Code(str):
    """A text that is a code span already."""

    __slots__ = ()


def finish_markdown(value: Any) -> Any:
    """Return what is put into Markdown, texts escaped: classes have any names."""
    return escape_markdown(value) if isinstance(value, str) and type(value) is not Code else value


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; a dash for what is not known."""
    return "–" if value is None else f"{value:.{digits}%}"


def points(value: float, digits: int = 1) -> str:
    """Return a difference of shares as signed percentage points."""
    return f"{100 * value:+.{digits}f}".replace("-", "−")


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a figure with some decimals; a dash for what is not known."""
    return "–" if value is None else f"{value:.{digits}f}"


def number(value: int) -> str:
    """Return a count with its thousands apart."""
    return f"{value:,}"


def hash_source(text: str) -> str:
    """Return by what a page's policy knows a script or style of ours: CSP's `sha256-…`."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

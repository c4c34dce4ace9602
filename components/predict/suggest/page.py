"""The page of suggestions: each photo with what the model takes it for; it loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from components.common.errors import DarkroomError
from components.common.files.bidi import isolate_html
from components.common.images.pixels import ImageForm, read_pixels
from components.common.images.uris import encode_image
from components.predict.listing import name_source
from components.predict.spec import Suggest
from components.predict.suggest.ranking import Candidate

HERE = Path(__file__).parent
SHOWN = 500  # pictures of some 6 kB each; the list names all
FORM = ImageForm(200, "crop", "#f6f8fa", srgb=True, grey_window=(), deep_colours=True)


def render_page(chosen: Sequence[Candidate], images: int, copies: int, wanted: Suggest) -> str:
    """Return self-contained HTML, the most wanted photo first.

    Args:
        chosen: the suggestions, in order.
        images: among which they were chosen.
        copies: near-copies that were left out.
        wanted: what was asked for.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style = (HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page: str = environment.get_template("page.html.j2").render(
        cards=[
            {
                "rank": number,
                "one": one,
                "picture": _encode(one),
                "path": name_source(one.image),
            }
            for number, one in enumerate(chosen[:SHOWN], start=1)
        ],
        more=max(0, len(chosen) - SHOWN),
        count=len(chosen),
        images=images,
        copies=copies,
        unknown=sum(one.unknown for one in chosen),
        wanted=wanted,
        style=Markup(style),  # noqa: S704 - our own file
        style_digest=digest,
    )
    return isolate_html(page)


def _encode(one: Candidate) -> str:
    """Return a small picture as a data URI; empty where the file is gone meanwhile."""
    try:
        return encode_image(Image.fromarray(read_pixels(one.image, FORM)), "JPEG", quality=75)
    except (DarkroomError, OSError):
        return ""

"""Pictures inside a page: data URIs, so that a report is one file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError

if TYPE_CHECKING:
    from PIL import Image


def encode_image(image: Image.Image, form: str, **options: Any) -> str:
    """Return a picture as a data URI.

    Args:
        image: the picture.
        form: JPEG or PNG.
        options: of Pillow's writer, such as `quality`.
    """
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return encode_bytes(stream.getvalue(), form)


def encode_file(file: Path, stage: str) -> str:
    """Return a PNG file that a stage wrote as a data URI."""
    try:
        return encode_bytes(file.read_bytes(), "PNG")
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no picture there; run {stage} first") from None


def encode_bytes(data: bytes, form: str) -> str:
    """Return an encoded picture as a data URI."""
    return f"data:image/{form.lower()};base64,{base64.b64encode(data).decode()}"

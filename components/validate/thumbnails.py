"""Small pictures of the images that a finding names, inside the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from components.common.errors import DarkroomError
from components.common.images import ImageForm, read_pixels

# Pictures of 120 px at quality 70 take about 4 kB each.
FORM = ImageForm(size_px=120, resize="pad", background="#f6f8fa")
MAX_FILE_BYTES = 64 << 20  # a thumbnail is not worth reading more


def create_thumbnails(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return path → data URI of a JPEG; without those that cannot be decoded.

    Args:
        folder: folder of images.
        paths: files in it.
    """
    found = {}
    for path in dict.fromkeys(paths):
        try:
            if (folder / path).stat().st_size > MAX_FILE_BYTES:
                continue
            pixels = read_pixels(folder / path, FORM)
        except (DarkroomError, OSError):
            continue  # that it cannot be read is what the page says of it
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=70)
        code = base64.b64encode(stream.getvalue()).decode()
        found[path] = f"data:image/jpeg;base64,{code}"
    return found

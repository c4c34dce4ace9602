"""Colours of more than 8 bits, of which Pillow keeps the upper eight.

Cameras and microscopes write 12 bits into files of 16: what Pillow keeps of them is nearly black.
Decoded a second time, with the bytes of each value swapped, the same file gives the lower eight.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from components.common.images.colour import NARROW, Range, find_grey_range, scale_to_8_bits
from components.common.images.formats import open_image

_NATIVE = {"little": "L", "big": "B"}[sys.byteorder]
_WHITE = 65_535
_DARK = round(256 * NARROW)  # what the upper byte of no dark value reaches
_BAND = 1 << 22  # pixels that are widened at once


def find_layout(image: Image.Image) -> str:
    """Return how 16-bit colours lie in an image that is not decoded yet; empty if it has none.

    That is `RGB;16B` and the like: bands, and which of two bytes comes first.
    """
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else None
    raw = args[0] if isinstance(args, tuple) and args else args
    is_deep = isinstance(raw, str) and raw.partition(";")[2] in ("16B", "16L", "16N")
    return str(raw) if is_deep and image.mode in ("RGB", "RGBA") else ""


def widen(
    image: Image.Image, source: bytes | Path, layout: str, window: Sequence[float]
) -> tuple[Image.Image, Range | None]:
    """Return a decoded image of 16-bit colours with what of them can be seen, as 8 bits.

    Where all colours lie in the lowest quarter of 16 bits, they are spread from their own least to
    their own greatest value, as deep greys are; transparency from 0. Else nothing is changed.

    Args:
        image: decoded.
        source: what it was decoded from.
        layout: of :func:`find_layout`.
        window: (black, white) for all images; (): as above.

    Returns:
        The image, and its own range if it was spread.
    """
    is_bright = any(any(image.getchannel(band).histogram()[_DARK:]) for band in "RGB")
    if not window and is_bright:
        return image, None
    values = _read_values(image, source, layout)
    colours = values[..., :3] if values.shape[2] > 2 else values[..., :1]
    range_, is_own = find_grey_range(colours, window)
    if not window and not is_own:
        return image, None
    seen = scale_to_8_bits(colours, range_)
    parts = [seen] if seen.shape[2] == 3 else [seen, seen, seen]
    if image.mode == "RGBA":
        alpha = values[..., -1:]
        opaque = float(alpha.max())
        parts.append(
            scale_to_8_bits(alpha, (0, opaque if 0 < opaque < _WHITE * NARROW else _WHITE))
        )
    found = Image.fromarray(np.concatenate(parts, axis=2))
    found.info = {key: one for key, one in image.info.items() if key != "transparency"}
    return found, range_ if is_own else None


def _read_values(image: Image.Image, source: bytes | Path, layout: str) -> np.ndarray:
    """Return the values of an image, uint16 (height, width, bands)."""
    bands, _, order = layout.partition(";16")
    order = _NATIVE if order == "N" else order
    swapped = open_image(source, sys.maxsize)
    # Two bytes a band: of LA four in all, as if they were RGBA's.
    raw = "RGBA" if bands == "LA" else f"{bands};16{'L' if order == 'B' else 'B'}"
    swapped.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
        for tile in swapped.tile  # type: ignore[attr-defined]
    ]
    swapped.load()
    found = np.empty((image.height, image.width, len(bands)), np.uint16)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        low = np.asarray(swapped.crop(box)).astype(np.uint16)
        if bands == "LA":
            high, low = low[..., 0::2], low[..., 1::2]
        else:
            high = np.asarray(image.crop(box)).astype(np.uint16)
        found[top : box[3]] = high << 8 | low
    return found

"""The one way from an image's bytes to the pixels that a network sees.

Preprocess, evaluate, predict and the served model all call :func:`read_pixels`, so that an image has
the same pixels, to the bit, wherever it is met.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps

from components.common.errors import DarkroomError


@dataclass(frozen=True)
class ImageForm:
    """The form that every image is brought into; it travels with the shards and with the model."""

    size_px: int  # side of the square, pixels
    resize: str  # crop, pad or stretch: how an oblong image becomes square
    background: str  # #rrggbb behind transparent pixels and padding


def read_pixels(source: bytes | Path, form: ImageForm) -> np.ndarray:
    """Decode an image, turn it upright, bring it to RGB and to size.

    Args:
        source: an encoded image (JPEG, PNG, WebP …), or the file that holds it.
        form: size, way of resizing and background.

    Returns:
        uint8 array of shape (size_px, size_px, 3), RGB, 0 to 255.

    Raises:
        DarkroomError: if it is not a whole, readable image.
    """
    raise NotImplementedError

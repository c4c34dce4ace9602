"""Pictures as they are compared: small, their light apart from their colours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm, read_pixels

LUMA_PX = 128
CHROMA_PX = 16
GREY = (
    128  # all of a picture that could not be read; one so flat has no sketch, and is not compared
)


def read_picture(file: Path, max_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return luma, uint8 (128, 128), and chroma, uint8 (2, 16, 16), of an image, stretched.

    One that has gone since it was looked at is grey, and like no other.
    """
    form = ImageForm(LUMA_PX, "stretch", "#ffffff", True, (), max_pixels)
    try:
        pixels = read_pixels(file, form)
    except (DarkroomError, OSError):
        pixels = np.full((LUMA_PX, LUMA_PX, 3), GREY, np.uint8)
    image = Image.fromarray(pixels).convert("YCbCr")
    colours = np.asarray(image.resize((CHROMA_PX, CHROMA_PX), Image.Resampling.BOX))[..., 1:]
    # Smoothed, it can be sampled between its pixels without loss.
    luma = image.getchannel(0).filter(ImageFilter.GaussianBlur(1))
    return np.asarray(luma), colours.transpose(2, 0, 1)


def were_read(luma: np.ndarray) -> np.ndarray:
    """Return which of the pictures of :func:`stack_pictures` could be read, (pictures,)."""
    return np.asarray((luma != GREY).any(axis=(1, 2)))


def stack_pictures(
    pictures: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return all luma, uint8 (pictures, 128, 128), and chroma, int8 (…, 2, 16, 16), around 0."""
    luma, chroma = (np.stack(side) for side in zip(*pictures, strict=True))
    return luma, (chroma.astype(np.int16) - 128).astype(np.int8)

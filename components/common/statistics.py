"""Figures of an image by which one batch of images is told from another, without labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from components.common.errors import DarkroomError
from components.common.images import ImageForm, read_pixels

# Brightness, contrast and saturation: 0 to 1. Sharpness: mean step between neighbours, 0 to 1.
# Aspect and megapixels: logarithms, so that twice as much is as far as half.
NAMES = ("brightness", "contrast", "saturation", "sharpness", "aspect", "megapixels")


def measure_image(image: bytes | Path, form: ImageForm) -> list[float]:
    """Return the figures of an image, in the order of NAMES.

    Args:
        image: encoded, or the file that holds it.
        form: the form that the model sees; all but aspect and megapixels are measured in it.

    Raises:
        DarkroomError: if it cannot be read.
    """
    import io

    from PIL import Image

    pixels = read_pixels(image, form).astype(np.float32) / 255  # (size, size, 3)
    with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
        width, height = opened.size
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # luma after ITU-R BT.601
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    found = [grey.mean(), grey.std(), saturation.mean(), np.mean(steps)]
    return [
        *map(float, found),
        float(np.log2(width / height)),
        float(np.log2(width * height / 1e6)),
    ]


def measure_images(images: Sequence[bytes | Path], form: ImageForm) -> np.ndarray:
    """Return the figures of images, float64 (images, NAMES); NaN where one is unreadable."""

    def measure(image: bytes | Path) -> list[float]:
        try:
            return measure_image(image, form)
        except (DarkroomError, OSError):
            return [np.nan] * len(NAMES)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return np.array(list(pool.map(measure, images)), np.float64).reshape(-1, len(NAMES))

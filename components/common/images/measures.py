"""What is measured of a picture: its light and sharpness, and what tells one batch from another.

The sums of the first kind, which the manifest holds, are of whole numbers: the same file gives the
same figures, to the bit, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from components.common.errors import DarkroomError
from components.common.host import count_cores
from components.common.images.formats import open_image
from components.common.images.pixels import ImageForm, read_pixels

# Pictures are measured at one to two times this side, near what networks see: a large photo is not
# blurred only because its edges spread over more pixels.
MEASURED_PX = 128
_POWERS = np.arange(256, dtype=np.int64) ** np.arange(3)[:, None]  # (3, 256)

# Of the second kind. Brightness, contrast and saturation: 0 to 1. Sharpness: mean step between
# neighbours, 0 to 1, not the manifest's.
# Aspect and megapixels: logarithms, so that twice as much is as far as half.
NAMES = ("brightness", "contrast", "saturation", "sharpness", "aspect", "megapixels")
LOGARITHMS = frozenset(("aspect", "megapixels"))  # to the base 2: 2**mean is told, not the mean


def shrink(luma: Image.Image) -> Image.Image:
    """Return a grey image averaged down, by a whole factor, to a longer side of 128 to 255 px."""
    factor = max(luma.size) // MEASURED_PX
    return luma.reduce(factor) if factor > 1 else luma


def compute_moments(histogram: Sequence[int]) -> tuple[float, float]:
    """Return mean and standard deviation of the luma, both 0 to 1, from its 256 counts."""
    number, total, squares = (int(sum_) for sum_ in _POWERS @ np.asarray(histogram, np.int64))
    variance = (number * squares - total**2) / number**2
    return total / (255 * number), math.sqrt(variance) / 255


def compute_sharpness(luma: np.ndarray) -> float:
    """Return the variance of the Laplacian of the luma (Pech-Pacheco et al., ICPR 2000).

    Args:
        luma: uint8 (height, width).
    """
    grey = luma.astype(np.int16)
    edges = np.zeros_like(grey)
    # What lies beyond the frame is as what lies at it: no step. So the Laplacian is a sum of
    # steps, each of them added on one side and taken away on the other, and its mean is 0.
    down, right = grey[1:] - grey[:-1], grey[:, 1:] - grey[:, :-1]
    edges[:-1] += down
    edges[1:] -= down
    edges[:, :-1] += right
    edges[:, 1:] -= right
    # Whole numbers also for speed: a product of floats would start the threads of BLAS in every
    # worker, which then wait for one another (ten times slower on two busy cores).
    squares = int(np.square(edges, dtype=np.int32).sum(dtype=np.int64))
    return squares / edges.size


def measure_image(image: bytes | Path, form: ImageForm) -> list[float]:
    """Return the figures of an image, in the order of NAMES.

    Args:
        image: encoded, or the file that holds it.
        form: the form that the model sees; all but aspect and megapixels are measured in it.

    Raises:
        DarkroomError: if it cannot be read.
    """
    seen = read_pixels(image, form)
    with open_image(image, form.max_pixels) as opened:
        return measure_pixels(seen, *opened.size)


def measure_pixels(seen: np.ndarray, width_px: int, height_px: int) -> list[float]:
    """Return the figures of a decoded image, in the order of NAMES.

    Args:
        seen: as the model sees it, uint8 (size, size, 3).
        width_px: of the image as it was taken.
        height_px: likewise.
    """
    pixels = seen.astype(np.float32) / 255  # (size, size, 3)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # luma after ITU-R BT.601
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    found = [grey.mean(), grey.std(), saturation.mean(), np.mean(steps)]
    return [
        *map(float, found),
        float(np.log2(width_px / height_px)),
        float(np.log2(width_px * height_px / 1e6)),
    ]


def measure_images(images: Sequence[bytes | Path], form: ImageForm) -> np.ndarray:
    """Return the figures of images, float64 (images, NAMES); NaN where one is unreadable."""

    def measure(image: bytes | Path) -> list[float]:
        try:
            return measure_image(image, form)
        except (DarkroomError, OSError):
            return [np.nan] * len(NAMES)

    with ThreadPoolExecutor(count_cores()) as pool:
        return np.array(list(pool.map(measure, images)), np.float64).reshape(-1, len(NAMES))

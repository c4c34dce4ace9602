"""Spoilt images: what cameras, networks and people do to photos, at three strengths.

In the manner of ImageNet-C (Hendrycks & Dietterich 2019), on the pixels that the network sees.
Lengths are shares of the side, so that 96 px and 224 px are spoilt alike.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

SEED = 0
STRENGTHS = (1, 2, 3)  # mild, clear, strong

Spoil = Callable[[Image.Image, int, np.random.Generator], Image.Image]


def _noise(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    deviation = (10, 25, 50)[strength - 1]  # of 255
    pixels = np.asarray(image, np.float32)
    spoilt = pixels + random.normal(0, deviation, pixels.shape)
    return Image.fromarray(np.clip(np.rint(spoilt), 0, 255).astype(np.uint8))


def _blur(image: Image.Image, strength: int, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur((0.005, 0.01, 0.02)[strength - 1] * image.width))


def _jpeg(image: Image.Image, strength: int, _: np.random.Generator) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=(40, 20, 8)[strength - 1])
    return Image.open(stream).convert("RGB")


def _brightness(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    change = (1.3, 1.7, 2.2)[strength - 1]
    return ImageEnhance.Brightness(image).enhance(change if random.random() < 0.5 else 1 / change)


def _rotation(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    angle = (5, 15, 30)[strength - 1] * (1 if random.random() < 0.5 else -1)
    edge = np.asarray(image)[[0, -1]].reshape(-1, 3).mean(axis=0)
    fill = tuple(round(float(value)) for value in edge)
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=fill)


def _crop(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    side = round((0.9, 0.75, 0.6)[strength - 1] * image.width)
    left, top = (int(random.integers(0, image.width - side + 1)) for _ in range(2))
    part = image.crop((left, top, left + side, top + side))
    return part.resize(image.size, Image.Resampling.BICUBIC)


CORRUPTIONS: dict[str, Spoil] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "brightness": _brightness,
    "rotation": _rotation,
    "crop": _crop,
}


def spoil(pixels: np.ndarray, corruption: str, strength: int) -> np.ndarray:
    """Return spoilt copies of images; the same images are spoilt alike each time.

    Args:
        pixels: uint8 (images, side, side, 3).
        corruption: a name of CORRUPTIONS.
        strength: one of STRENGTHS.
    """
    change = CORRUPTIONS[corruption]
    random = np.random.default_rng([SEED, strength, list(CORRUPTIONS).index(corruption)])
    return np.stack([np.asarray(change(Image.fromarray(one), strength, random)) for one in pixels])

"""From any mode and colour profile to RGB of 8 bits, as sRGB shows it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
from PIL import Image

from components.common.images.formats import MAX_PIXELS

_WHITE = (255, 255, 255)
# What a profile does to no colour by more than this, of 255, is sRGB under another name.
_SAME = 2
# Deep greys that use less of what their type can hold have no nominal white: cameras of 12 bits
# use a sixteenth of 16 bits, and would be black.
NARROW = 0.25
_BAND = 1 << 24  # pixels that are converted at once where a picture is huge
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of a profile → mode of Pillow
_NAMES = {"RGB": "RGB", "L": "grey", "CMYK": "CMYK"}
Range = tuple[float, float]


def convert_to_rgb(
    image: Image.Image,
    background: tuple[int, ...],
    grey_window: Sequence[float] | None = None,
) -> Image.Image:
    """Return an image of any mode as RGB: deep greys scaled, transparency on the background.

    Args:
        image: decoded.
        background: RGB behind transparent pixels.
        grey_window: of :func:`find_grey_range`.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep_grey(image):
        grey = np.asarray(image)
        range_, _ = find_grey_range(grey, grey_window)
        return Image.fromarray(scale_to_8_bits(grey, range_)).convert("RGB")
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    if image.has_transparency_data:
        # Composed before it is resized: colours hidden under full transparency then never bleed in.
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(canvas, layer).convert("RGB")
    return image.convert("RGB")


def convert_to_luma(image: Image.Image) -> tuple[Image.Image, Range | None]:
    """Return a decoded image of any mode in grey of 8 bits, on white.

    With it, of deep greys, come the values that were taken for black and white where these are not
    what their type stands for.
    """
    window: tuple[float, ...] = ()
    own: Range | None = None
    if is_deep_grey(image):
        window, is_own = found = find_grey_range(np.asarray(image), window)
        own = found[0] if is_own else None
    if image.mode == "L":
        return image, own
    if image.width * image.height > MAX_PIXELS:
        return convert_in_bands(
            image, lambda band: convert_to_rgb(band, _WHITE, window).convert("L"), "L", 1
        ), own
    return convert_to_rgb(image, _WHITE, window).convert("L"), own


def convert_in_bands(
    image: Image.Image, convert: Callable[[Image.Image], Image.Image], mode: str, factor: int
) -> Image.Image:
    """Convert a huge image band by band, and shrink it on the way, so that one copy is in memory.

    Args:
        image: decoded.
        convert: what is done to each band.
        mode: of what it returns.
        factor: by how much it is averaged down, a whole number.
    """
    width, height = image.size
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = max(1, _BAND // (width * factor)) * factor
    for top in range(0, height, rows):
        band = convert(image.crop((0, top, width, min(height, top + rows))))
        small.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    return small


# --- deep greys --------------------------------------------------------------------------------


def is_deep_grey(image: Image.Image) -> bool:
    """Whether an image has greys of more than 8 bits: 16- or 32-bit integers, or floats."""
    return image.mode.startswith("I") or image.mode == "F"


def find_grey_range(grey: np.ndarray, window: Sequence[float] | None) -> tuple[Range, bool]:
    """Return which values of deep greys (height, width) become black and white.

    Integers stand for 0 to 65535, as X-ray, microscope and depth cameras write them; floats for 0
    to 1, or 0 to 255. What leaves these ranges has no nominal white: its own range is spread. So it
    is with what fills less than a quarter of them, such as 12 bits in a file of 16.

    Args:
        grey: integers or floats; NaN and infinities count as 0.
        window: (black, white) for all images; (): as above; None: as above, but what fills little
            of its range stays dark, as models trained before `grey_window` was there saw it.

    Returns:
        Black and white, and whether they are the image's own.
    """
    if window:
        return (float(window[0]), float(window[1])), False
    whites = (65535.0,) if np.issubdtype(grey.dtype, np.integer) else (1.0, 255.0)
    low, high = _find_extremes(grey)
    white = next((white for white in whites if low >= 0 and high <= white), None)
    is_narrow = window is not None and white is not None and high < white * NARROW
    if low < high and (white is None or is_narrow):
        return (low, high), True
    return (0.0, white if white is not None else max(high, 1.0)), False


def scale_to_8_bits(grey: np.ndarray, range_: Range) -> np.ndarray:
    """Return deep greys (height, width) as uint8; what lies outside the range is clipped."""
    low, high = range_
    found = np.empty(grey.shape, np.uint8)
    for rows in _split(grey):
        values = np.nan_to_num(grey[rows].astype(np.float32), posinf=0.0, neginf=0.0)
        found[rows] = np.clip(np.rint((values - low) * (255 / (high - low))), 0, 255)
    return found


def _find_extremes(grey: np.ndarray) -> Range:
    parts = [
        np.nan_to_num(grey[rows].astype(np.float32), posinf=0.0, neginf=0.0)
        for rows in _split(grey)
    ]
    return float(min(part.min() for part in parts)), float(max(part.max() for part in parts))


def _split(grey: np.ndarray) -> list[slice]:
    rows = max(1, _BAND // grey.shape[1])
    return [slice(top, top + rows) for top in range(0, grey.shape[0], rows)]


# --- colour profiles ---------------------------------------------------------------------------


def convert_profile(image: Image.Image) -> Image.Image:
    """Return an image as sRGB where its ICC profile says another colour space, else as it is.

    A profile that is broken, or of another kind of colours than the image's, is ignored.
    """
    profile, mode = image.info.get("icc_profile"), _find_mode(image)
    if not profile or mode is None:
        return image
    transform, _ = _create_transform(profile, mode)
    if transform is None:
        return image
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        converted = transform.apply(image.convert("RGBA").convert(mode))
        converted.putalpha(alpha)
    else:
        converted = transform.apply(image if image.mode == mode else image.convert(mode))
    converted.info = {}
    return cast(Image.Image, converted)


def describe_profile(image: Image.Image) -> str:
    """Say what :func:`convert_profile` does with an image's profile: nothing, where it is empty."""
    profile, mode = image.info.get("icc_profile"), _find_mode(image)
    return _create_transform(profile, mode)[1] if profile and mode else ""


def _find_mode(image: Image.Image) -> str | None:
    """Return the mode in which an image's profile is applied; None: in none."""
    if image.mode in ("1", "L", "LA", "La"):
        return "L"
    if image.mode in ("RGB", "RGBX", "RGBA", "RGBa", "P", "PA"):
        return "RGB"
    return "CMYK" if image.mode == "CMYK" else None


@lru_cache(maxsize=64)
def _create_transform(profile: bytes, mode: str) -> tuple[Any, str]:
    """Return what brings a mode to sRGB, None where there is nothing to do, and what to say."""
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        if _SPACES.get(space) != mode:
            return None, f"profile ignored: one for {space} in a picture of {_NAMES[mode]}"
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(opened, srgb, mode, "RGB")
        name = " ".join(ImageCms.getProfileDescription(opened).split())
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, UnicodeDecodeError):
        return None, "profile ignored: it cannot be read"
    if mode != "CMYK" and _changes_nothing(transform, mode):
        return None, ""
    return transform, f"profile: {name or space}"


def _changes_nothing(transform: Any, mode: str) -> bool:
    levels = np.arange(0, 256, 15, dtype=np.uint8)  # 18 of them
    if mode == "L":
        values = levels[None]
        shown = np.repeat(values[..., None], 3, axis=2)
    else:
        values = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
        shown = values
    found = np.asarray(transform.apply(Image.fromarray(values)))
    return bool(np.abs(found.astype(int) - shown).max() <= _SAME)

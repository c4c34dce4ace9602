"""The one way from an image's bytes to the pixels that a network sees.

Preprocess, evaluate, predict and the served model all call :func:`read_pixels`, so that an image
has the same pixels, to the bit, wherever it is met.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from components.common.errors import DarkroomError
from components.common.images.colour import (
    convert_in_bands,
    convert_profile,
    convert_to_rgb,
    find_grey_range,
    is_deep_grey,
)
from components.common.images.deep import find_layout, widen
from components.common.images.formats import (
    HEAD_BYTES,
    MAX_PIXELS,
    name_kind,
    open_image,
    refuse_endless,
)

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg")
_TIFF, _HEIC = (".tif", ".tiff"), (".heic", ".heif", ".hif")
SUFFIXES = frozenset(
    (*_JPEG, ".png", ".webp", ".bmp", ".gif", *_TIFF, ".ppm", ".pgm", ".avif", *_HEIC, ".jp2")
)
# Pillow's filters widen with the shrinking factor, so they antialias. Hamming is nearly as sharp as
# bicubic at half the work; a probe on clothing photos scored the same with both (0.876 and 0.868).
SHRINKING = Image.Resampling.HAMMING
ENLARGING = Image.Resampling.BICUBIC  # smooth, where Hamming would leave blocks

_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {  # EXIF orientation → what turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageForm:
    """The form that every image is brought into; it travels with the shards and with the model.

    What is left out is as it was before there was a choice: a model trained then says nothing of
    it, and means that.
    """

    size_px: int  # side of the square, pixels
    resize: str  # crop, pad or stretch: how an oblong image becomes square
    background: str  # #rrggbb behind transparent pixels and padding
    srgb: bool = False  # whether colour profiles are applied
    # What is black and white in greys of more than 8 bits: two values; (): where they fill little
    # of their type's range, their own; None: always what their type stands for.
    grey_window: tuple[float, ...] | None = None
    max_pixels: int = MAX_PIXELS  # an image of more is refused
    deep_colours: bool = False  # whether grey_window is that of colours of 16 bits as well

    def __post_init__(self) -> None:
        """Take a window as JSON gives it back."""
        if isinstance(self.grey_window, list):
            object.__setattr__(self, "grey_window", tuple(self.grey_window))

    def describe(self) -> dict[str, Any]:
        """Return what a file says of it: all that is not as it was before there was a choice."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


def read_pixels(source: bytes | Path, form: ImageForm) -> np.ndarray:
    """Decode an image, turn it upright, bring it to RGB and to size.

    Args:
        source: an encoded image (JPEG, PNG, WebP …), or the file that holds it.
        form: size, way of resizing and background.

    Returns:
        uint8 array of shape (size_px, size_px, 3), RGB, 0 to 255; not to be written to.

    Raises:
        DarkroomError: if it is not a whole, readable image.
    """
    background = ImageColor.getrgb(form.background)[:3]
    name = str(source) if isinstance(source, Path) else "image"
    try:
        with open_image(source, form.max_pixels) as image:
            if image.format in ("JPEG", "MPO"):
                refuse_endless(source)
            # JPEG can be decoded at 1/2, 1/4 or 1/8 for a fraction of the work; what is dropped is
            # detail finer than the wanted size. Features of clothing photos so decoded told the
            # classes apart as well as those of whole ones (at 128, 160 and 192 px).
            image.draft(None, (form.size_px, form.size_px))
            layout = find_layout(image) if form.deep_colours else ""
            image.load()
            orientation = read_orientation(image)
            seen = widen(image, source, layout, form.grey_window or ())[0] if layout else image
            rgb = _convert(seen, form, background)
    except DarkroomError as error:
        raise DarkroomError(f"{name}: {error}") from None
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DarkroomError(f"{name}: not a readable image ({_explain(source, error)})") from None
    return np.asarray(_resize(turn_upright(rgb, orientation), form, background), np.uint8)


def _explain(source: bytes | Path, error: Exception) -> str:
    """Say why a decoder failed; what Python calls its own objects tells nobody anything."""
    if isinstance(error, UnidentifiedImageError):
        if isinstance(source, bytes):
            start, size = source[:HEAD_BYTES], len(source)
        else:
            with source.open("rb") as file:
                start, size = file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size
        return ": ".join(name_kind(start, size)) if start else "it is empty"
    return re.sub(r"<\S+ object at 0x[0-9a-f]+>", "it", str(error)) or type(error).__name__


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, where there is none or EXIF is damaged."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, EOFError, struct.error):
        return 1
    return orientation if orientation in _UPRIGHT else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return an image as its EXIF orientation wants it seen."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def find_images(folder: Path) -> list[Path]:
    """Return the files below a folder that are named as images, sorted, without hidden ones."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def choose_filter(width_px: int, height_px: int, size_px: int) -> Image.Resampling:
    """Return the filter for bringing an image to a size, by whether a side is enlarged."""
    return SHRINKING if min(width_px, height_px) >= size_px else ENLARGING


def _convert(image: Image.Image, form: ImageForm, background: tuple[int, ...]) -> Image.Image:
    """Return a decoded image as RGB; a huge one shrunk on the way, but not below twice its size."""
    window: tuple[float, ...] | None = form.grey_window

    def convert(part: Image.Image) -> Image.Image:
        return convert_to_rgb(convert_profile(part) if form.srgb else part, background, window)

    if image.width * image.height <= MAX_PIXELS:
        return convert(image)
    if is_deep_grey(image):  # one range for all bands
        window = find_grey_range(np.asarray(image), window)[0]
    factor = max(1, min(image.size) // (2 * form.size_px))
    return convert_in_bands(image, convert, "RGB", factor)


def _resize(image: Image.Image, form: ImageForm, background: tuple[int, ...]) -> Image.Image:
    size = (form.size_px, form.size_px)
    method = choose_filter(*image.size, form.size_px)
    if form.resize == "crop":
        return ImageOps.fit(image, size, method)
    if form.resize == "pad":
        share = form.size_px / max(image.size)
        inner = image.resize([max(1, round(side * share)) for side in image.size], method)
        canvas = Image.new("RGB", size, background)
        left, top = ((form.size_px - side) // 2 for side in inner.size)
        canvas.paste(inner, (left, top))
        return canvas
    return image.resize(size, method)

"""The one way from an image's bytes to the pixels that a network sees.

Preprocess, evaluate, predict and the served model all call :func:`read_pixels`, so that an image
has the same pixels, to the bit, wherever it is met. Colour profiles are not applied: pretrained
networks were trained without.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageColor, ImageOps

from components.common.errors import DarkroomError

# An image of more pixels is refused before it is decoded: a small file can claim to be huge. This
# is the limit at which Pillow begins to warn: 256 MiB of RGB.
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3
Image.MAX_IMAGE_PIXELS = None  # the check is open_image's; Pillow's own would warn, then raise
warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata; what matters raises
# The decoders that are tried; Pillow knows more, among them one that starts Ghostscript (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
_JPEG, _TIFF = (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg"), (".tif", ".tiff")
SUFFIXES = frozenset(
    (*_JPEG, ".png", ".webp", ".bmp", ".gif", *_TIFF, ".ppm", ".pgm", ".avif", ".jp2")
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
        uint8 array of shape (size_px, size_px, 3), RGB, 0 to 255; not to be written to.

    Raises:
        DarkroomError: if it is not a whole, readable image.
    """
    background = ImageColor.getrgb(form.background)[:3]
    name = str(source) if isinstance(source, Path) else "image"
    try:
        with open_image(source) as image:
            # JPEG can be decoded at 1/2, 1/4 or 1/8 for a fraction of the work; what is dropped is
            # detail finer than the wanted size. Features of clothing photos so decoded told the
            # classes apart as well as those of whole ones (at 128, 160 and 192 px).
            image.draft(None, (form.size_px, form.size_px))
            image.load()
            rgb = convert_to_rgb(image, background)
            orientation = read_orientation(image)
    except DarkroomError as error:
        raise DarkroomError(f"{name}: {error}") from None
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DarkroomError(f"{name}: not a readable image ({error})") from None
    return np.asarray(_resize(turn_upright(rgb, orientation), form, background), np.uint8)


def open_image(source: bytes | Path) -> Image.Image:
    """Open an image without decoding it; raise DarkroomError if it claims more than MAX_PIXELS."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    image = Image.open(stream, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise DarkroomError(
            f"{image.width} × {image.height} pixels are more than the {MAX_PIXELS / 1e6:.0f} "
            "million allowed; make the image smaller"
        )
    return image


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


def convert_to_rgb(image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    """Return an image of any mode as RGB: deep greys scaled, transparency on the background."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scale_to_8_bits(np.asarray(image))).convert("RGB")
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


def _scale_to_8_bits(grey: np.ndarray) -> np.ndarray:
    """Return deep greys (height, width) as uint8, by the range that their type stands for.

    Integers are 16-bit, 0 to 65535, as X-ray, microscope and depth cameras write them; floats are
    0 to 1, or 0 to 255. What leaves these ranges has no nominal white: its own range is spread.
    """
    is_integer = np.issubdtype(grey.dtype, np.integer)
    grey = np.nan_to_num(grey.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    whites = (65535.0,) if is_integer else (1.0, 255.0)
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is not None:
        low, high = 0.0, white
    return np.rint((grey - low) * (255 / (high - low))).astype(np.uint8)

"""One file → one row of the manifest: digest, full decode, and why it cannot be used."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from components.common.artifacts.manifest import OK, QUARANTINED
from components.common.errors import DarkroomError
from components.common.images.colour import convert_to_luma, describe_profile
from components.common.images.deep import find_layout, widen
from components.common.images.formats import name_kind, open_image, refuse_endless
from components.common.images.measures import (
    MEASURED_PX,
    compute_moments,
    compute_sharpness,
    shrink,
)
from components.common.images.phash import compute_phash
from components.common.images.pixels import read_orientation, turn_upright
from components.validate.copies.sketch import draw_sketch
from components.validate.scan.damage import check_tiff, decode_luma
from components.validate.scan.stand_ins import name_stand_in

_SUBFILE_TYPE = 254  # tag of TIFF; its lowest bit: a smaller version of another page
MAX_BYTES = 1 << 29  # a larger file is digested piece by piece and not decoded: 512 MiB
MEASURED: dict[str, Any] = {
    "sha256": "",
    "bytes": 0,
    "format": "",
    "width_px": 0,
    "height_px": 0,
    "mode": "",
    "exif_orientation": 1,
    "phash": "",
    "luma_sha256": "",
    "brightness": float("nan"),
    "contrast": float("nan"),
    "sharpness": float("nan"),
}
NOT_SEEN: dict[str, Any] = {"remarks": [], "sketch": b""}


class RejectedError(Exception):
    """Why a file cannot be used: kind, and after a colon the detail."""


def inspect_file(
    file: str, min_side_px: int, max_megapixels: float, frames: str = "reject"
) -> dict[str, Any]:
    """Return what the manifest holds of a file; whatever is wrong with it becomes its `reason`.

    Args:
        file: its path.
        min_side_px: a narrower or lower image is rejected.
        max_megapixels: an image of more million pixels is rejected before it is decoded.
        frames: `first`, or `reject` what has more than one.

    Returns:
        The keys of MEASURED; status and reason; `remarks`, on how a usable image is seen; and its
        `sketch`, empty where its picture is too small or too flat to be told from others.
    """
    row = MEASURED.copy()
    try:
        data = _read(file, row)
        seen = _inspect_image(data, row, min_side_px, max_megapixels, frames)
    except RejectedError as rejected:
        return row | {"status": QUARANTINED, "reason": str(rejected)} | NOT_SEEN
    return row | {"status": OK, "reason": ""} | seen


def _read(file: str, row: dict[str, Any]) -> bytes:
    try:
        # Without waiting: opening a pipe would else last until somebody writes into it.
        with open(file, "rb", buffering=0, opener=_open_at_once) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise RejectedError("unreadable: a pipe, socket or device, not a file")
            size = found.st_size
            if size > MAX_BYTES:
                row |= {"bytes": size}
                row["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
                raise RejectedError(f"too large: {size / 2**20:,.0f} MiB")
            data = stream.read()
    except FileNotFoundError:
        raise RejectedError("missing: no file of this name, or the name is not UTF-8") from None
    except OSError as error:
        raise RejectedError(f"unreadable: {error.strerror or error}") from None
    row |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if not data:
        raise RejectedError("empty: no bytes in it")
    return data


def _open_at_once(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))


def _inspect_image(
    data: bytes, row: dict[str, Any], min_side_px: int, max_megapixels: float, frames: str
) -> dict[str, Any]:
    """Fill a row from an image's bytes; return its remarks and its sketch."""
    limit = int(max_megapixels * 1e6)
    image = _open(data)
    try:
        refuse_endless(data)
    except DarkroomError as error:
        raise RejectedError(f"too slow: {error}") from None
    # A phone's JPEG with a second picture behind it (depth map, preview) is still one photograph.
    is_photo = image.format in ("MPO", "HEIF")
    row |= {"format": "JPEG" if image.format == "MPO" else image.format, "mode": image.mode}
    row |= {"width_px": image.width, "height_px": image.height}
    if image.width * image.height > limit:
        millions = image.width * image.height / 1e6
        raise RejectedError(
            f"decompression bomb: {millions:,.0f} million pixels, more than validate.max_megapixels"
        )
    if min(image.size) < min_side_px:
        raise RejectedError(f"too small: {image.width} × {image.height} px")
    remarks = []
    try:
        if getattr(image, "is_animated", False) and not is_photo:
            if frames != "first":
                raise RejectedError("animation: more than one frame")
            remarks.append("frames: the first of several")
        if image.format == "TIFF":
            _refuse_preview(image)
        if profile := describe_profile(image):
            remarks.append(profile)
        luma = _decode_luma(image, data, remarks)
        row["exif_orientation"] = read_orientation(image)
    except RejectedError:
        raise
    except MemoryError:
        raise RejectedError(
            "too large: more memory to decode it than validate.max_decode_mb"
        ) from None
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise RejectedError(f"damaged: {_one_line(error)}") from None
    return {"remarks": remarks, "sketch": _measure(luma, row)}


def _decode_luma(image: Image.Image, data: bytes, remarks: list[str]) -> Image.Image:
    """Return the grey picture; what is remarkable about its range is added to the remarks.

    A JPEG comes out at most 8 times smaller, as it will be measured. Damage is found even so: every
    bit of the file is decoded, and left out is only arithmetic behind it.
    """
    if image.format in ("JPEG", "MPO"):
        luma = decode_luma(data, *image.size, MEASURED_PX)
        if luma is not None:
            return Image.fromarray(luma)
        image.draft("L", (MEASURED_PX, MEASURED_PX))
    layout = find_layout(image)
    image.load()
    if image.format == "TIFF":
        check_tiff(image, data)
    seen, of_colours = widen(image, data, layout, ()) if layout else (image, None)
    grey, of_greys = convert_to_luma(seen)
    if own_range := of_colours or of_greys:
        remarks.append(f"grey range: {own_range[0]:g} to {own_range[1]:g}")
    return grey


def _refuse_preview(image: Image.Image) -> None:
    """Refuse a TIFF that begins with a small preview: so do the raw files of cameras."""
    if image.tag_v2.get(_SUBFILE_TYPE, 0) & 1:  # type: ignore[attr-defined]
        raise RejectedError(
            "unknown format: a camera's raw file, or a TIFF that begins with a preview; "
            "save it as JPEG, PNG or TIFF"
        )


def _open(data: bytes) -> Image.Image:
    try:
        return open_image(data, sys.maxsize)  # the limit is looked at with the size in the row
    except UnidentifiedImageError:
        if name := name_stand_in(data):
            raise RejectedError(f"not an image: {name}") from None
        raise RejectedError(": ".join(name_kind(data))) from None
    except DarkroomError as error:
        raise RejectedError(f"unknown format: {error}") from None
    except Exception as error:  # damaged headers make decoders raise nearly anything
        if "MAX_TEXT" in str(error):  # Pillow's limits on what is compressed beside a PNG's picture
            raise RejectedError(
                "too large: a text or colour profile in it unpacks to more than 1 MiB; save it "
                "without"
            ) from None
        raise RejectedError(f"damaged: {_one_line(error)}") from None


def _measure(luma: Image.Image, row: dict[str, Any]) -> bytes:
    """Fill a row from an image's light; return its sketch."""
    small = shrink(luma)
    pixels = np.asarray(small)
    row["brightness"], row["contrast"] = compute_moments(small.histogram())
    row["sharpness"] = compute_sharpness(pixels)
    # Before it is turned: whoever takes the metadata out of a file takes the orientation with it.
    size = f"{row['width_px']} {row['height_px']} ".encode()
    row["luma_sha256"] = hashlib.sha256(size + pixels.tobytes()).hexdigest()
    upright = turn_upright(small, row["exif_orientation"])
    row["phash"] = compute_phash(upright, row["contrast"], min(row["width_px"], row["height_px"]))
    if not row["phash"]:
        return b""
    return draw_sketch(upright, pixels if upright is small else np.asarray(upright))


def _one_line(error: Exception) -> str:
    return " ".join(f"{error}".split())[:200] or type(error).__name__

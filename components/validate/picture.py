"""One file → one row of the manifest: digest, full decode, and why it cannot be used."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from components.common.artifacts.manifest import OK, QUARANTINED
from components.common.errors import DarkroomError
from components.common.images.measures import (
    MEASURED_PX,
    compute_moments,
    compute_sharpness,
    shrink,
)
from components.common.images.phash import compute_phash
from components.common.images.pixels import (
    FORMATS,
    convert_to_rgb,
    open_image,
    read_orientation,
    turn_upright,
)

MAX_BYTES = 1 << 29  # a larger file is digested piece by piece and not decoded: 512 MiB
WHITE = (255, 255, 255)
MEASURED: dict[str, Any] = {
    "sha256": "",
    "bytes": 0,
    "format": "",
    "width_px": 0,
    "height_px": 0,
    "mode": "",
    "exif_orientation": 1,
    "phash": "",
    "brightness": float("nan"),
    "contrast": float("nan"),
    "sharpness": float("nan"),
}


class RejectedError(Exception):
    """Why a file cannot be used: kind, and after a colon the detail."""


def inspect_file(file: str, min_side_px: int, max_megapixels: float) -> dict[str, Any]:
    """Return what the manifest holds of a file; whatever is wrong with it becomes its `reason`."""
    row = MEASURED.copy()
    try:
        data = _read(file, row)
        _inspect_image(data, row, min_side_px, max_megapixels)
    except RejectedError as rejected:
        return row | {"status": QUARANTINED, "reason": str(rejected)}
    return row | {"status": OK, "reason": ""}


def _read(file: str, row: dict[str, Any]) -> bytes:
    try:
        with open(file, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path costs twice as much
            size = os.fstat(stream.fileno()).st_size
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


def _inspect_image(
    data: bytes, row: dict[str, Any], min_side_px: int, max_megapixels: float
) -> None:
    """Fill a row from an image's bytes."""
    image = _open(data)
    # A phone's JPEG with a second picture behind it (depth map, preview) is still one photograph.
    is_mpo = image.format == "MPO"
    row |= {"format": "JPEG" if is_mpo else image.format, "mode": image.mode}
    row |= {"width_px": image.width, "height_px": image.height}
    if image.width * image.height > max_megapixels * 1e6:
        millions = image.width * image.height / 1e6
        raise RejectedError(
            f"decompression bomb: {millions:,.0f} million pixels, more than validate.max_megapixels"
        )
    if min(image.size) < min_side_px:
        raise RejectedError(f"too small: {image.width} × {image.height} px")
    try:
        if getattr(image, "is_animated", False) and not is_mpo:
            raise RejectedError("animation: more than one frame")
        # A JPEG comes out grey and at most 8 times smaller, as it will be measured. Damage is found
        # even so: every bit of the file is decoded, and left out is only arithmetic behind it.
        image.draft("L", (MEASURED_PX, MEASURED_PX))
        image.load()
        row["exif_orientation"] = read_orientation(image)
        luma = image if image.mode == "L" else convert_to_rgb(image, WHITE).convert("L")
    except RejectedError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise RejectedError(f"damaged: {_one_line(error)}") from None
    _measure(luma, row)


def _open(data: bytes) -> Image.Image:
    try:
        return open_image(data)
    except UnidentifiedImageError:
        raise RejectedError(f"not an image: none of {', '.join(FORMATS)}") from None
    except DarkroomError as error:  # more pixels than the decoder of the project takes
        raise RejectedError(f"decompression bomb: {error}") from None
    except Exception as error:  # damaged headers make decoders raise nearly anything
        raise RejectedError(f"damaged: {_one_line(error)}") from None


def _measure(luma: Image.Image, row: dict[str, Any]) -> None:
    small = shrink(luma)
    row["brightness"], row["contrast"] = compute_moments(small.histogram())
    row["sharpness"] = compute_sharpness(np.asarray(small))
    upright = turn_upright(small, row["exif_orientation"])
    row["phash"] = compute_phash(upright, row["contrast"], min(row["width_px"], row["height_px"]))


def _one_line(error: Exception) -> str:
    return " ".join(f"{error}".split())[:200] or type(error).__name__

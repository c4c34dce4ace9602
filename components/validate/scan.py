"""Open every file once, on all cores: digest, full decode, and what can be measured of the picture."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from components.common.errors import DarkroomError
from components.common.images import open_image
from components.common.manifest import OK, QUARANTINED
from components.common.terminal import track

# Below this side a picture has too few pixels for a perceptual hash: different digits of 8 px collide.
MIN_HASHED_PX = 32
# Below this spread of luma, 0 to 255, a picture is nearly flat, and its hash is noise.
MIN_HASHED_SPREAD = 4.0
HASH_PX = 32  # the picture is shrunk to 32×32, and the 8×8 lowest frequencies make 64 bits
SHARPNESS_PX = 256  # sharpness is measured at one size, so that large photos do not look blurred
EXIF_ORIENTATION = 0x0112
EMPTY: dict[str, Any] = {
    "format": "",
    "width_px": 0,
    "height_px": 0,
    "mode": "",
    "exif_orientation": 1,
    "phash": "",
    "brightness": np.nan,
    "sharpness": np.nan,
}


def scan_files(folder: Path, names: Sequence[str], min_side_px: int) -> list[dict[str, Any]]:
    """Inspect files on all cores, in order.

    Args:
        folder: folder of images.
        names: paths in it.
        min_side_px: an image narrower or lower is quarantined.
    """
    inspect = partial(inspect_file, folder, min_side_px=min_side_px)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(inspect, names, chunksize=32)
        return list(track(found, "reading", "images", len(names)))


def inspect_file(folder: Path, name: str, min_side_px: int) -> dict[str, Any]:
    """Return one row of the manifest, without its label; a bad file is a row with its reason."""
    data = (folder / name).read_bytes()
    row = {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} | EMPTY
    reason = _inspect_image(data, row, min_side_px) if data else "empty file"
    return row | {"status": QUARANTINED if reason else OK, "reason": reason}


def compute_phash(luma: Image.Image) -> str:
    """Return the 64-bit perceptual hash of a grey image, hex; empty where it would say nothing.

    The signs of the lowest 8×8 frequencies of a cosine transform against their median (Zauner 2010).
    """
    from scipy.fft import dctn

    if min(luma.size) < MIN_HASHED_PX:
        return ""
    small = np.asarray(luma.resize((HASH_PX, HASH_PX), Image.Resampling.BOX), np.float64)
    if small.std() < MIN_HASHED_SPREAD:
        return ""
    low = dctn(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first says only how bright it is
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def compute_sharpness(luma: Image.Image) -> float:
    """Return the variance of the Laplacian of a grey image, (0 to 255)² (Pech-Pacheco 2000)."""
    shrunk = luma.copy()
    shrunk.thumbnail((SHARPNESS_PX, SHARPNESS_PX), Image.Resampling.BOX)
    grey = np.pad(np.asarray(shrunk, np.float32), 1, mode="edge")
    centre = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * centre).var())


def _inspect_image(data: bytes, row: dict[str, Any], min_side_px: int) -> str:
    """Fill a row from an image's bytes; return why it cannot be used, or nothing."""
    try:
        image = open_image(data)
    except UnidentifiedImageError:
        return "not an image"
    except DarkroomError as error:
        return f"decompression bomb: {error}"
    except Exception as error:  # damaged headers make decoders raise nearly anything
        return f"damaged: {error}"
    row |= {"format": image.format, "mode": image.mode}
    row |= {"width_px": image.width, "height_px": image.height}
    if getattr(image, "n_frames", 1) > 1:
        return f"animation of {image.n_frames} frames"
    if min(image.size) < min_side_px:
        return f"too small: {image.width} × {image.height} px"
    try:
        image.load()
        row["exif_orientation"] = int(image.getexif().get(EXIF_ORIENTATION) or 1)
        luma = image.convert("L")
    except Exception as error:  # a file that is cut short, or damaged inside
        return f"damaged: {error}"
    row["phash"] = compute_phash(luma)
    row["brightness"] = float(np.asarray(luma, np.float32).mean() / 255)
    row["sharpness"] = compute_sharpness(luma)
    return ""

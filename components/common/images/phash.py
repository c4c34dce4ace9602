"""A perceptual hash: 64 bits that pictures of the same looks share.

All sums are of whole numbers, so the same file gives the same hash, to the bit, on any machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from components.common.errors import DarkroomError
from components.common.images.colour import convert_to_luma
from components.common.images.formats import MAX_PIXELS, open_image
from components.common.images.measures import MEASURED_PX, compute_moments, shrink
from components.common.images.pixels import read_orientation, turn_upright

# Below this side a picture has too few details to be told from others by 64 bits. Of the 1.6
# million pairs of the 8×8 digits 72 are at most 4 bits apart, one chain joins 11 of them; of 1.5
# million pairs of photographs none.
MIN_HASHED_PX = 32
# Below this deviation of luma, 0 to 1, a picture is nearly flat, and its hash is noise.
MIN_HASHED_CONTRAST = 0.015
HASH_PX = 32  # the picture is shrunk to 32×32, and its 8×8 lowest frequencies make 64 bits
_FREQUENCIES, _POSITIONS = np.arange(8)[:, None], np.arange(HASH_PX)[None, :]
# Cosine transform (DCT-II) as whole numbers: (8, 32). Sums stay below 2**53, so they are exact
# in floats too, which are multiplied faster.
_COSINES = np.rint(4096 * np.cos(np.pi * (2 * _POSITIONS + 1) * _FREQUENCIES / (2 * HASH_PX)))


def compute_phash(luma: Image.Image, contrast: float, original_px: int) -> str:
    """Return the 64-bit perceptual hash of a grey image, 16 hex digits; empty if it says nothing.

    Signs of the 8×8 lowest frequencies of the cosine transform against their median (Zauner,
    Implementation and benchmarking of perceptual image hash functions, 2010).

    Args:
        luma: the picture, upright.
        contrast: standard deviation of its luma, 0 to 1.
        original_px: shorter side of the image that it comes from.
    """
    if original_px < MIN_HASHED_PX or contrast < MIN_HASHED_CONTRAST:
        return ""
    # A triangle filter: boxes that do not divide the side evenly gave copies of small pictures
    # other hashes (83 % of photos of 64 px against their halves within 4 bits; so 100 %).
    small = np.asarray(luma.resize((HASH_PX, HASH_PX), Image.Resampling.BILINEAR), np.float64)
    low = (_COSINES @ small @ _COSINES.T).ravel()
    median = np.partition(low[1:], 31)[31]  # of all but the mean of the picture
    return np.packbits(low > median).tobytes().hex()


def read_phash(image: bytes | Path, max_pixels: int = MAX_PIXELS) -> str:
    """Return the hash of an encoded image, or of the file that holds it, as the manifest has it.

    A JPEG may differ in a bit: validate decodes it with another library.

    Args:
        image: encoded, or the file.
        max_pixels: an image of more is refused.

    Raises:
        DarkroomError: if it cannot be read.
    """
    try:
        with open_image(image, max_pixels) as opened:
            shorter_px, orientation = min(opened.size), read_orientation(opened)
            opened.draft("L", (MEASURED_PX, MEASURED_PX))
            opened.load()
            small = shrink(convert_to_luma(opened)[0])
    except DarkroomError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DarkroomError(f"not a readable image ({error})") from None
    _, contrast = compute_moments(small.histogram())
    return compute_phash(turn_upright(small, orientation), contrast, shorter_px)

"""From an image of the manifest to a record of a shard: what is written here decides its bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.common.artifacts.dataset import LABEL, PATH, PIXELS, SHA256
from components.common.errors import DarkroomError
from components.common.files.plain import check_plain
from components.common.images.pixels import ImageForm, read_pixels
from components.common.shards.tfrecord import create_record


@dataclass(frozen=True)
class Row:
    """One image of a shard."""

    path: str  # in the folder of images
    label: int  # position in the class names
    sha256: str  # of the file's bytes, hex


def read_record(images: Path, row: Row, form: ImageForm) -> bytes:
    """Return the record of an image.

    Args:
        images: folder that its path is in.
        row: the image.
        form: form of its pixels.

    Raises:
        DarkroomError: if it is missing, is not what the manifest says, or cannot be decoded.
    """
    return create_record(
        {
            PIXELS: _read_pixels(images, row, form).tobytes(),
            LABEL: row.label,
            PATH: row.path.encode(),
            SHA256: row.sha256.encode(),
        }
    )


def _read_pixels(images: Path, row: Row, form: ImageForm) -> np.ndarray:
    """Return the pixels of an image (size_px, size_px, 3), if it is still the one validate saw."""
    check_plain(images / row.path)
    try:
        data = (images / row.path).read_bytes()
    except OSError as error:
        raise DarkroomError(
            f"{images / row.path}: listed in the manifest, but cannot be read ({error.strerror}); "
            "run validate again"
        ) from None
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise DarkroomError(
            f"{images / row.path}: changed since validate saw it; run validate again"
        )
    try:
        return read_pixels(data, form)
    except DarkroomError as error:
        raise DarkroomError(f"{images / row.path}: {error}; run validate again") from None

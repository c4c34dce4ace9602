"""The manifest: one row per file, written by validate, read by whoever needs to know the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.files.schema import Schema
from components.common.files.tables import read_table, write_parquet
from components.common.files.writing import writing

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = Schema("manifest", stage="validate")
COLUMNS = (
    "path",  # relative to the folder of images, with `/`; rows are sorted by it
    "label",  # class name
    "split",  # train, val or test where the folder gives splits, else empty
    "sha256",  # of the file's bytes, hex
    "bytes",
    "format",  # as the decoder found it: JPEG, PNG …
    "width_px",  # as stored, before exif_orientation turns it
    "height_px",
    "mode",  # Pillow's mode: RGB, L, CMYK …
    "exif_orientation",  # 1 to 8; 1 is upright
    "phash",  # 64-bit perceptual hash, hex; empty where a picture is too small or flat for one
    "brightness",  # mean luma, 0 to 1
    "contrast",  # standard deviation of the luma, 0 to 1
    "sharpness",  # variance of the Laplacian of the luma, shrunk to a longer side of 128 to 255 px
    "status",  # ok, or quarantined
    "reason",  # why a quarantined file is not used, `kind: detail`, else empty
    "group",  # rows of one group stay in one split; empty: a group of its own
    "luma_sha256",  # of size and shrunk grey pixels, hex: metadata does not change it
    "picture",  # one text for all that show the same picture: the least sha256 among them
    "label_before",  # the label that a person found; the present one: it was kept; empty: none did
    "thumbnail",  # data: URI, of images of one picture under several labels alone, else empty
)
ADDED = (
    "luma_sha256",
    "picture",
    "label_before",
    "thumbnail",
)  # a manifest of an earlier version does without
OK, QUARANTINED = "ok", "quarantined"
DROPPED = "dropped: "  # begins the reason of an image that a person took out
SPLITS = ("train", "val", "test")


def read_manifest(file: Path, laid: Sequence[str] = ()) -> pd.DataFrame:
    """Read a manifest.

    Args:
        file: of validate.
        laid: columns that are wanted alone, their texts on disk; empty: all, in memory.

    Raises:
        DarkroomError: if it is missing, damaged or lacks a column.
    """
    needed = [column for column in COLUMNS if column not in ADDED]
    manifest = read_table(file, "manifest", needed, "validate", schema=SCHEMA, laid=laid)
    for column in ADDED:
        if column not in manifest and (not laid or column in laid):
            manifest[column] = ""
    return manifest


def write_manifest(file: Path, manifest: pd.DataFrame) -> None:
    """Write a manifest, whole or not at all."""
    with writing(file) as temporary:
        write_parquet(temporary, manifest, SCHEMA)

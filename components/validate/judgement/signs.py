"""What the expectations look at: a row a file, with columns that only all files together give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import OK
from components.common.files.laid import ROWS

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params

SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
}


def create_signs(manifest: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the signs that speak for or against each file.

    Args:
        manifest: all files.
        params: of the room.

    Returns:
        The rows of the manifest, those of a picture together: `path`, `status`; and, missing where
        a file is rejected, `label`; `class_images`, how many usable images its class has;
        `suffix_fits`, 1 if the name says the format; `exif_orientation`; `aspect`, longer side by
        shorter; `contrast`; `brightness` and `sharpness`, missing also where the image is blank;
        `picture`, a number that images of the same bytes or the same looks share; and of that
        `copies`, files of the same bytes, `lookalikes`, other files that look the same, `labels`
        and `splits`, under how many it is found.
    """
    is_usable = manifest["status"] == OK
    # Column by column: a table of all usable rows would be the manifest once more.
    names = ["label", "exif_orientation", "contrast", "brightness", "sharpness"]
    signs = manifest[names][is_usable]
    label, content, picture = (
        _number(manifest[name][is_usable]) for name in ("label", "sha256", "picture")
    )
    signs["class_images"] = np.bincount(label)[label] if len(label) else 0
    signs["suffix_fits"] = _compare_suffixes(manifest[["path", "format"]][is_usable])
    sides = manifest[["width_px", "height_px"]][is_usable].to_numpy(float)
    signs["aspect"] = sides.max(axis=1, initial=1) / np.fmin.reduce(sides, axis=1, initial=np.inf)
    is_blank = signs["contrast"] < params.min_contrast
    signs.loc[is_blank, ["brightness", "sharpness"]] = np.nan
    signs["picture"] = picture
    signs["copies"] = np.bincount(content)[content] if len(content) else 0
    signs["lookalikes"] = count_distinct(picture, content) - 1
    signs["labels"] = count_distinct(picture, label)
    split = manifest["split"][is_usable]
    given = (split != "").to_numpy()
    signs["splits"] = 0
    signs.loc[given, "splits"] = count_distinct(picture[given], _number(split[given]))
    order = np.flatnonzero(is_usable)[np.argsort(picture, kind="stable")]
    signs = signs.loc[manifest.index[order]].reset_index(drop=True)
    signs = signs.reindex(range(len(manifest)))  # rejected files come last
    order = np.concatenate([order, np.flatnonzero(~is_usable)])
    for place, name in enumerate(("path", "status")):
        signs.insert(place, name, manifest[name].iloc[order].reset_index(drop=True))
    return signs


def count_distinct(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each row how many different values its group has.

    Args:
        groups: whole numbers, 0 or more (rows,).
        values: whole numbers, 0 or more (rows,).
    """
    if not len(groups):
        return np.zeros(0, np.int64)
    width = int(values.max()) + 1
    pairs = np.unique(groups.astype(np.int64) * width + values)
    return np.asarray(np.bincount(pairs // width)[groups])


def _number(values: pd.Series) -> np.ndarray:
    return np.asarray(values.factorize()[0], np.int64)


def _compare_suffixes(images: pd.DataFrame) -> np.ndarray:
    """Return 1 where the name of a file says its format, 0 where it says another or none."""
    fits = np.zeros(len(images), np.int64)
    for start in range(0, len(images), ROWS):
        part = images.iloc[start : start + ROWS]
        suffixes = part["path"].str.extract(r"(\.[^./]*)$", expand=False).fillna("").str.lower()
        for name, legal in SUFFIXES_OF.items():
            fits[start : start + ROWS] |= (part["format"] == name) & suffixes.isin(legal)
    return fits

"""Small pictures of the images that a finding names, inside the page itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from components.common.artifacts.manifest import OK
from components.common.errors import DarkroomError
from components.common.images.listing import open_images
from components.common.images.pixels import ImageForm, read_pixels
from components.common.images.uris import encode_image

if TYPE_CHECKING:
    import pandas as pd

# Pictures of 120 px at quality 70 take about 4 kB each. Rejected files are shown too, and a larger
# one is not worth the memory, whatever `max_megapixels` says.
FORM = ImageForm(120, "pad", "#f6f8fa", True, (), max_pixels=120_000_000, deep_colours=True)
# Of a data set with more of them, the labels are wrong as a whole: nobody mends them one by one.
MOST_CONTRADICTIONS = 500
MAX_FILE_BYTES = 64 << 20  # a thumbnail is not worth reading more
BROUGHT = 32  # images of a listing that lie here at a time


def create_thumbnails(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return path → data URI of a JPEG; without those that cannot be decoded.

    Args:
        folder: folder of images, or a listing of some.
        paths: files in it.
    """
    wanted = list(dict.fromkeys(paths))
    images = open_images(folder, wanted)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), BROUGHT):
        some = wanted[start : start + BROUGHT]
        with images.pick(some).bringing() as here:
            pictures = {path: _shrink(here / path) for path in some}
        found |= {path: uri for path, uri in pictures.items() if uri}
    return found


def _shrink(file: Path) -> str:
    """Return an image as a small JPEG; empty where it cannot be read: the page says so of it."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return ""
        pixels = read_pixels(file, FORM)
    except (DarkroomError, OSError):
        return ""
    return encode_image(Image.fromarray(pixels), "JPEG", quality=70)


def picture_contradictions(folder: Path, manifest: pd.DataFrame) -> pd.Series:
    """Return for each row a data URI if its picture has several labels, else an empty text.

    Preprocess leaves such images out of the shards, so a later page has no other picture of them.

    Args:
        folder: folder of images.
        manifest: all files.
    """
    import pandas as pd

    usable = manifest["status"] == OK
    shown = pd.DataFrame(
        {name: manifest[name][usable].factorize()[0] for name in ("picture", "label")},
        manifest.index[usable],
    )
    several = shown.drop_duplicates()["picture"].value_counts().loc[lambda labels: labels > 1]
    rows = shown.index[shown["picture"].isin(several.index)][:MOST_CONTRADICTIONS]
    paths = manifest.loc[rows, "path"]
    pictures = create_thumbnails(folder, paths)
    found = pd.Series("", manifest.index, dtype="str")
    found.loc[rows] = [pictures.get(path, "") for path in paths]
    return found

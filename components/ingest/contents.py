"""What a file holds, by its first bytes: for the message that it is no archive."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from components.common.images.formats import open_image
from components.common.images.pixels import SUFFIXES, find_images

BY_HAND = "unpack it by hand, and name the folder in data.source"
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"LZIP": "lzip"}
HEADS = {
    b"Rar!\x1a\x07": f"but a RAR archive, which cannot be read here; {BY_HAND}",
    b"MSCF": f"but a Windows cabinet; {BY_HAND}",
    b"\x04\x22\x4d\x18": f"but packed with LZ4; {BY_HAND}",
    b"\x1f\x9d": f"but packed with compress (.Z); {BY_HAND}",
    b"version https://git-lfs": "but a pointer of Git LFS; run `git lfs pull` where it comes from",
    b"outs:": "but a pointer of DVC; run `dvc pull`, and name the archive itself",
    b"PAR1": "but a Parquet table; write its images into class folders, and name the folder in "
    "data.source",
    b"\x89HDF": "but an HDF5 file; write its images into class folders, and name the folder in "
    "data.source",
    b"\x93NUMPY": "but a NumPy array; write its images into class folders, and name the folder in "
    "data.source",
    b"%PDF": "but a PDF document; give ingest.source an archive of images",
    b"\xff\xd8\xff": "but a JPEG image; name a folder of images in data.source",
    b"\x89PNG": "but a PNG image; name a folder of images in data.source",
    b"PK": "but the beginning of a zip archive whose end is missing; get it again, and where it "
    "came in parts, join them first",
}
PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)", re.I | re.S)
LOOKED_AT = 50  # files: enough to see whether those without a suffix are images


def describe_content(archive: Path, head: bytes) -> str:
    """Return what a file is that is no archive, and what to do, to go behind "not a tar or zip"."""
    if not archive.stat().st_size:
        return "but empty; get it again"
    if PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        return (
            "but a web page: the address leads to a page about the file, or wants a login; give "
            "ingest.source the address of the file itself, or download it by hand"
        )
    for magic, words in HEADS.items():
        if head.startswith(magic):
            return words
    for magic, packer in PACKED.items():
        if head.startswith(magic):
            return f"but {packer} without a whole tar inside; get it again, or {BY_HAND}"
    return "or its beginning or end is missing; give ingest.source another"


def is_page(archive: Path) -> bool:
    """Whether a download is a web page, which no digest will ever fit."""
    with archive.open("rb") as file:
        return bool(PAGE.match(file.read(512).removeprefix(b"\xef\xbb\xbf")))


def count_images(folder: Path) -> int:
    """Return the number of images below a folder, by name, or where none has one, by content."""
    return len(find_images(folder)) or sum(map(is_image, _list_plain(folder)))


def has_images(folder: Path) -> bool:
    """Whether some file is named as an image, or one of the first is one."""
    if find_images(folder):
        return True
    return any(map(is_image, itertools.islice(_list_plain(folder), LOOKED_AT)))


def _list_plain(folder: Path) -> Iterator[Path]:
    return (
        f for f in sorted(folder.rglob("*")) if f.suffix.lower() not in SUFFIXES and f.is_file()
    )


def is_image(file: Path) -> bool:
    """Whether a file is an image, whatever it is called."""
    try:
        open_image(file).close()
    except Exception:  # decoders raise nearly anything of what is no image
        return False
    return True

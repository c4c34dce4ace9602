"""Which files are pictures: they are opened without decoding, and what is none is named."""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from PIL import Image

from components.common.errors import DarkroomError

# An image of more pixels is refused before it is decoded: a small file can claim to be huge. Models
# that say nothing else were trained under this limit, 256 MiB of RGB, at which Pillow warns.
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3
Image.MAX_IMAGE_PIXELS = None  # the check is open_image's; Pillow's own would warn, then raise
warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata; what matters raises
# The decoders that are tried; Pillow knows more, among them one that starts Ghostscript (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
HEIF = "HEIF"  # read by pi-heif: what phones write as .heic
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEAD = 64  # bytes that tell the kind
HEAD_BYTES = 1024  # that tell what a file is which is no picture
# A JPEG of passes that each change next to nothing keeps a decoder busy for hours: some hundred
# bytes a pass. Cameras and servers write 1 to 11.
MAX_PASSES = 100
_PASS = b"\xff\xda"  # marker at the head of each
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF

_TIFF = "a TIFF of a kind that is not decoded"
# Where its mark is, the mark, and what it is called. Pictures that nothing here decodes first.
_PICTURES = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"DDS ", "a DirectDraw texture"),
    (0, b"icns", "an icon"),
    (0, b"qoif", "a QOI picture"),
    (0, b"\x01\xda\x00", "an SGI picture"),
    (0, b"\x01\xda\x01", "an SGI picture"),
    (0, b"\x0a\x05\x01\x08", "a PCX picture"),
    (0, b"\x0a\x05\x01\x01", "a PCX picture"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance picture"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (4, b"ftypcrx ", "a camera's raw file"),
    (8, b"CR\x02", "a camera's raw file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"II+\x00", _TIFF),
    (0, b"II*\x00", _TIFF),
    (0, b"MM\x00*", _TIFF),
)
_OTHERS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"RIFF", "a video or a sound"),
    (4, b"ftyp", "a video"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
)
_CUT = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
)


def open_image(source: bytes | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image without decoding it.

    Args:
        source: an encoded image, or the file that holds it.
        max_pixels: more are refused.

    Raises:
        DarkroomError: if it claims more pixels, is no regular file, or is HEIC and pi-heif misses.
        PIL.UnidentifiedImageError: if it is none of FORMATS, nor HEIC.
    """
    if isinstance(source, Path):
        _check_file(source)
        with source.open("rb") as file:
            head = file.read(_HEAD)
    else:
        head = source[:_HEAD]
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    formats: tuple[str, ...] = FORMATS
    if is_heic(head):
        _learn_heif()
        formats = (HEIF,)
    image = Image.open(stream, formats=formats)
    width, height = find_extent(image)
    if width * height > max_pixels:
        raise DarkroomError(
            f"{width} × {height} pixels are more than the {max_pixels / 1e6:.0f} million allowed; "
            "make the image smaller"
        )
    return image


def refuse_endless(source: bytes | Path) -> None:
    """Refuse a JPEG that is made to keep decoders busy; a file of another kind passes.

    Args:
        source: an encoded image, or the file that holds it.

    Raises:
        DarkroomError: if it has more than MAX_PASSES passes.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    # Behind a picture there may be a film, in whose bytes the marker stands by chance.
    if data.startswith(b"\xff\xd8") and data.count(_PASS) > MAX_PASSES:
        passes = count_passes(data)
        if passes > MAX_PASSES:
            raise DarkroomError(
                f"a JPEG of {passes:,} passes, made to keep decoders busy; more than {MAX_PASSES} "
                "are refused: save it anew"
            )


def count_passes(data: bytes) -> int:
    """Return how many passes (scans) a JPEG's first picture has."""
    place, passes = 2, 0
    while 0 <= (place := data.find(b"\xff", place)) < len(data) - 3:
        marker = data[place + 1]
        if marker == 0xD9:
            break
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # without a segment
            place += 1 if marker == 0xFF else 2
            continue
        passes += marker == 0xDA
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return passes


def is_heic(head: bytes) -> bool:
    """Whether a file's first 64 bytes say HEIC; AVIF, its sister, says another brand."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[place : place + 4] for place in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return False
    return bool(brands & _HEIC_BRANDS) or head[8:12] in (b"mif1", b"msf1", b"heif")


def name_kind(data: bytes, size: int | None = None) -> tuple[str, str]:
    """Say what a file is that no decoder took.

    Args:
        data: its bytes, or the first of them.
        size: how many it has in all, if these are the first.

    Returns:
        Kind and detail: `unknown format`, a picture that is not read here; `damaged`, one whose
        head is broken; or `not an image`.
    """
    if data[4:8] == b"ftyp" and (is_heic(data[:_HEAD]) or data[8:12] in _AVIF_BRANDS):
        return "damaged", "begins as HEIC or AVIF, but its head cannot be read"
    name = _find_mark(data, _PICTURES)
    if name == _TIFF and _is_cut_tiff(data, size or len(data)):
        return "damaged", "a TIFF that is cut short: the list of what is in it is missing"
    if name:
        return "unknown format", f"{name}; save it as JPEG, PNG or TIFF of 8 or 16 bits"
    if name := _find_mark(data, _CUT):
        return "damaged", f"begins as {name}, but its head cannot be read"
    name = _find_mark(data, _OTHERS) or _name_text(data[:512].lstrip(b"\xef\xbb\xbf \t\r\n"))
    return "not an image", name or f"none of {', '.join(FORMATS)}, HEIC"


def _is_cut_tiff(data: bytes, size: int) -> bool:
    """Whether a TIFF's list of tags lies behind its end, as most writers put it last."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II*\0") else "big"
    if order == "big" and not data.startswith(b"MM\0*"):
        return False
    place = int.from_bytes(data[4:8], order)
    tags = int.from_bytes(data[place : place + 2], order)
    return place + 2 + 12 * tags > size


def find_extent(image: Image.Image) -> tuple[int, int]:
    """Return width and height of what is decoded at once, in pixels.

    That is the image, or of a TIFF a tile that reaches far beyond it: some hundred bytes can claim
    one of gigabytes.
    """
    if image.format != "TIFF":
        return image.size
    tags = getattr(image, "tag_v2", {})
    sides = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    tile = [side if isinstance(side, int) else 0 for side in sides]
    return max(image.size, (tile[0], tile[1]), key=lambda size: size[0] * size[1])


def _find_mark(data: bytes, marks: Iterable[tuple[int, bytes, str]]) -> str:
    return next((name for place, mark, name in marks if data[place:].startswith(mark)), "")


def _name_text(start: bytes) -> str:
    if b"<svg" in start:
        return "a drawing in SVG"
    is_page = start.lower().startswith((b"<!doctype html", b"<html"))
    return "a web page, as servers send instead of a file that is gone" if is_page else ""


def _check_file(file: Path) -> None:
    """Refuse what would block (a pipe) or never end (a device)."""
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise DarkroomError(f"{kind}, not a file")


def _learn_heif() -> None:
    """Teach Pillow HEIC; importing it costs 10 ms, so only who meets such a file pays."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise DarkroomError(
            "a HEIC picture, as iPhones take them; `pip install pi-heif`, or save it as JPEG"
        ) from None
    if HEIF not in Image.OPEN:
        register_heif_opener(thumbnails=False)

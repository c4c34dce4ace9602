"""What decoders notice of a damaged picture and Pillow passes over.

libjpeg mends what it can and warns; Pillow does not listen, so a photo of which three quarters are
grey counts as whole. simplejpeg, the same libjpeg-turbo, raises instead. It is no slower, and its
grey pixels are Pillow's to the bit, so validate decodes a JPEG once, with it.

Not every warning is damage: bytes between segments, an unknown revision or a broken profile leave
the picture whole. What is decoded a second time, without all that is not the picture, tells.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

# Of libjpeg-turbo, of damage to the picture itself → as we say it.
_DAMAGE = (
    (r"premature end of (data|jpeg|input)", "a part is missing or overwritten"),
    (r"bad (huffman|arithmetic) code", "bits are wrong"),
    (r"instead of RST", "a part between two restart markers is missing"),
    (r"(\d+) extraneous bytes before marker", "more data than the picture has room for"),
)
# Zeros before a marker are padding, of cheap cameras; FF 00 is data, and a lone 00 may be.
_ZEROS, _ZERO = (re.compile(rb"(?<!\xff)\x00%s(?=\xff[\xd0-\xd9])" % n) for n in (b"{2,}", b"{1}"))
_STARTS_SCAN, _END = 0xDA, b"\xff\xd9"
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_JPEG, _DEFLATE = 7, (8, 32946)  # compressions of TIFF
_COMPRESSION, _JPEG_TABLES = 259, 347  # tags of TIFF
_PLACES = ((273, 279), (324, 325))  # offsets and lengths of strips, and of tiles


class DamagedError(Exception):
    """A picture is not whole; the message says what the decoder noticed."""


def decode_luma(data: bytes, width_px: int, height_px: int, least_px: int) -> np.ndarray | None:
    """Decode a JPEG as grey, at 1/2, 1/4 or 1/8 of its size where that is least_px or more.

    Args:
        data: the file.
        width_px: of the whole picture.
        height_px: of the whole picture.
        least_px: neither side is decoded smaller, if it is larger.

    Returns:
        uint8 (height, width), the pixels of Pillow's `draft("L", (least_px, least_px))`; or None
        where the file is no plain JPEG, or odd but whole: Pillow may try it.

    Raises:
        DamagedError: if bits of the picture are lost or wrong.
    """
    wanted = min(width_px // least_px, height_px // least_px)
    scale = next((scale for scale in (8, 4, 2) if scale <= wanted), 1)
    sides = -(-width_px // scale), -(-height_px // scale)
    try:
        return _decode(data, scale, *sides)[..., 0]
    except ValueError as error:
        noticed = _name_damage(error)
    if not noticed:
        return None
    bare = _strip(data)
    unpadded = _ZEROS.sub(b"", bare), _ZEROS.sub(b"\0", bare), _ZERO.sub(b"", bare)
    for suspect in (bare, *unpadded):
        try:
            _decode(suspect, 8, 1, 1)
        except ValueError as error:
            if not _name_damage(error):
                return None
        else:
            return None
    raise DamagedError(noticed)


def check_tiff(image: Image.Image, data: bytes) -> None:
    """Raise DamagedError where a strip or tile of a TIFF is not what its writer wrote.

    libtiff stops reading a strip when it has enough pixels: before the checksum behind them.

    Args:
        image: the opened TIFF, at the page that counts.
        data: the file.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    compression = tags.get(_COMPRESSION)
    if compression in _DEFLATE:
        for part in _list_parts(tags, data):
            decoder = zlib.decompressobj()
            try:
                # Piece by piece: what it claims to hold may be huge.
                decoder.decompress(part, 1 << 22)
                while decoder.unconsumed_tail:
                    decoder.decompress(decoder.unconsumed_tail, 1 << 22)
            except zlib.error as error:
                raise DamagedError(f"a strip is broken ({error})") from None
    elif compression == _JPEG:
        tables = bytes(tags.get(_JPEG_TABLES, b""))
        for part in _list_parts(tags, data):
            whole = tables[:-2] + part[2:] if len(tables) > 4 else part
            try:
                _decode(whole, 8, 1, 1)
            except ValueError as error:
                if noticed := _name_damage(error):
                    raise DamagedError(f"a strip is broken: {noticed}") from None


def _decode(data: bytes, scale: int, width_px: int, height_px: int) -> np.ndarray:
    """Return grey pixels (height, width, 1); ValueError on all that libjpeg remarks upon."""
    import simplejpeg

    found: np.ndarray = simplejpeg.decode_jpeg(
        data, "GRAY", min_factor=scale, min_width=width_px, min_height=height_px
    )
    return found


def _name_damage(error: ValueError) -> str:
    """Return what a remark of libjpeg means for the picture; empty if nothing."""
    for pattern, meaning in _DAMAGE:
        if re.search(pattern, str(error), re.IGNORECASE):
            return meaning
    return ""


def _strip(data: bytes) -> bytes:
    """Return a JPEG without what is not the picture: remarks, profiles, bytes between segments."""
    place, kept = 2, [b"\xff\xd8"]
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 4 > len(data):
            return data
        marker = data[place + 1]
        if marker in (0x00, 0xFF) or marker in _BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == _STARTS_SCAN:
            # With an end: one that was cut off behind the last bit is no loss.
            return b"".join((*kept, data[place:], _END))
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        is_remark = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_remark:
            kept.append(data[place:end])
        place = end


def _list_parts(tags: object, data: bytes) -> Iterator[bytes]:
    for offsets, lengths in _PLACES:
        found = tags.get(offsets, ()), tags.get(lengths, ())  # type: ignore[attr-defined]
        for offset, length in zip(*found, strict=False):
            yield data[offset : offset + length]

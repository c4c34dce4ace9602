"""Files of 16 bits a colour, made byte by byte: Pillow reads them and writes none."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def write_png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits, as its specification has it."""
    height, width = values.shape[:2]

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_tiff(values: np.ndarray, order: str, is_packed: bool = False) -> bytes:
    """A TIFF of 16 bits, one strip."""
    height, width, bands = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if is_packed else data
    depths, place = 8, 8 + 2 * bands
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, depths)]
    tags += [(259, 4, 1, 8 if is_packed else 1), (262, 4, 1, 2), (273, 4, 1, place)]
    tags += [(277, 4, 1, bands), (278, 4, 1, height), (279, 4, 1, len(data))]
    tags += [(338, 4, 1, 2)] if bands == 4 else []
    listed = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return (
        mark
        + struct.pack(f"{order}I", place + len(data))
        + struct.pack(f"{order}{bands}H", *[16] * bands)
        + data
        + struct.pack(f"{order}H", len(tags))
        + listed
        + bytes(4)
    )

"""Find where the images of a shard lie, so that each can be read by itself, in any order.

A shard is records one after another (tfrecord.py); their lengths lead from one to the next, so the
pixels, which are nearly all of it, are stepped over. Only the protocol buffers' own framing is
read: field numbers of tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.artifacts.dataset import LABEL, PATH, PIXELS, SHA256
from components.common.errors import DarkroomError
from components.common.shards.tfrecord import compute_masked_crc

LENGTH_BYTES, CRC_BYTES = 8, 4
LONGEST_SHIFT = 70  # ten groups of seven bits hold 64
VARINT, LENGTH_DELIMITED = 0, 2  # wire types


@dataclass(frozen=True)
class Place:
    """One image of a shard."""

    start: int  # where the record's data begin in the file, bytes
    length: int  # of the data; a checksum of them follows
    pixels: tuple[int, int]  # first byte of the pixels in the data, and the one behind the last
    label: int
    path: str
    sha256: str


def scan_shard(file: Path) -> Iterator[Place]:
    """Yield the images of a shard in their order.

    Raises:
        DarkroomError: if the file is missing, or not whole.
    """
    try:
        size = file.stat().st_size
        if not size:
            return
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            start = 0
            while start < size:
                place = _scan_record(m, start)
                yield place
                start = place.start + place.length + CRC_BYTES
    except FileNotFoundError:
        raise DarkroomError(f"{file}: shard is missing; run preprocess again") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
        raise DarkroomError(f"{file}: damaged ({error}); run preprocess again") from None


def _scan_record(data: Any, start: int) -> Place:
    header = data[start : start + LENGTH_BYTES]
    (length,) = struct.unpack("<Q", header)
    first = start + LENGTH_BYTES + CRC_BYTES
    if data[start + LENGTH_BYTES : first] != compute_masked_crc(header):
        raise ValueError(f"a wrong checksum at byte {start:,}")
    if first + length + CRC_BYTES > len(data):
        raise ValueError("it ends in the middle of a record")
    features = dict(_scan_example(data, first, first + length))
    pixels = features[PIXELS]
    (number,) = features[LABEL]
    path, sha256 = (bytes(data[slice(*features[name])]).decode() for name in (PATH, SHA256))
    return Place(first, length, (pixels[0] - first, pixels[1] - first), number, path, sha256)


def _scan_example(data: Any, start: int, end: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the features: name → the bytes' place (start, end), or a number (value,)."""
    for _, features in _fields(data, start, end):  # Example.features
        for _, entry in _fields(data, *features):  # Features.feature, a map
            fields = dict(_fields(data, *entry))
            name, feature = bytes(data[slice(*fields[1])]).decode(), fields[2]
            ((kind, values),) = _fields(data, *feature)  # Feature.kind
            ((_, value),) = _fields(data, *values)  # one value in every list
            is_packed = kind == 3 and len(value) == 2
            yield name, (_varint(data, value[0])[0],) if is_packed else value


def _fields(data: Any, start: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the fields of a message: number, then (start, end) of its bytes or (value,)."""
    while start < end:
        key, start = _varint(data, start)
        value, start = _varint(data, start)
        if key & 7 == LENGTH_DELIMITED:
            yield key >> 3, (start, start + value)
            start += value
        elif key & 7 == VARINT:
            yield key >> 3, (value,)
        else:
            raise ValueError(f"a field of wire type {key & 7}")


def _varint(data: Any, start: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while shift < LONGEST_SHIFT:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start
    raise ValueError("a number of more than 64 bits")

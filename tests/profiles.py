"""Colour profiles that a test writes by hand: ICC.1:2001-04, the smallest that a reader takes."""

import struct

# Red, green, blue of sRGB in the profile connection space (D50).
RED, GREEN, BLUE = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
WHITE = (0.9642, 1.0, 0.8249)


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def text(name: str) -> bytes:
    raw = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(raw)) + raw + bytes(78)


def build(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": text("made by hand"), b"wtpt": xyz(WHITE), **tags}
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", place + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = place + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, kind, space, connection)
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, WHITE))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb(primaries: tuple[tuple[float, ...], ...], power: float) -> bytes:
    """A profile of three primaries and one gamma."""
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, primaries), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(power))
    return build(b"mntr", b"RGB ", b"XYZ ", tags)


def grey(power: float) -> bytes:
    return build(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(power)})


def cmyk_of_black_alone() -> bytes:
    """A press whose colours are invisible: only the black ink darkens the paper."""
    steps = bytes(range(256))
    corners = b"".join((b"\0" if black else b"\xff") + b"\x80\x80" for black in (0, 1) * 1)
    table = corners * 8  # the last of the four inks varies fastest
    unit = b"".join(fixed(float(row == column)) for row in range(3) for column in range(3))
    lut = b"mft1\0\0\0\0\x04\x03\x02\0" + unit + steps * 4 + table + steps * 3
    return build(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})

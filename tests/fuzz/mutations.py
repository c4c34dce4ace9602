"""Bytes made of whole inputs: cut, doubled, flipped, mixed, with numbers and words that hurt."""

from __future__ import annotations

import random
from collections.abc import Sequence

MOST_BYTES = 1 << 16
# What parsers stumble over: ends of ranges, lengths that lie, signs of formats, other letters.
WORDS = (
    *(b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80" * 9, b"\n", b"\r", b'"', b"'", b"{", b"}"),
    *(b"[", b"]", b"[" * 3000, b"-1", b"0", b"1e999", b"99999999999999999999", b"NaN", b"null"),
    *(b"true", b"../", b"/etc/passwd", b"C:\\", b"&a ", b"*a", b"!!python/name:os.system "),
    *(b"=1+1", b"\xef\xbb\xbf", b"\xff\xfe", "ﷺ".encode(), "😀".encode(), b"\xc3", b"\xed\xa0\x80"),
    *(b"<<: ", b",", b";", b"\t", b": ", b"\\u0000", b"\\ud800", "²".encode(), "١".encode()),
)  # fmt: skip


def mutate(data: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """Return other bytes: one to eight changes of an input.

    Args:
        data: an input.
        others: more inputs, whose parts may be put into it.
        dice: decides.
    """
    found = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        start = dice.randint(0, len(found))
        end = min(len(found), start + dice.choice((1, 1, 2, 4, 8, 64)))
        way = dice.randrange(7)
        if way == 0 and found:
            found[min(start, len(found) - 1)] ^= 1 << dice.randrange(8)
        elif way == 1:
            found[start:end] = dice.randbytes(end - start)
        elif way == 2:
            del found[start:end]
        elif way == 3:
            found[start:start] = found[start:end] * dice.choice((1, 2, 100))
        elif way == 4:
            found[start : dice.choice((start, end))] = dice.choice(WORDS)
        elif way == 5:
            other = dice.choice(others)
            place = dice.randint(0, len(other))
            found[start:end] = other[place : place + dice.choice((4, 32, 256))]
        elif dice.random() < 0.3:
            del found[start:]
    return bytes(found[:MOST_BYTES])

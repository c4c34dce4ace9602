"""What validate finds of damage that Pillow passes over, and whom it suspects wrongly.

python benchmarks/damage.py --photos FOLDER   # the JPEGs below it

Each photo is saved anew in six ways and damaged in nine; counted are the damaged files that Pillow
decodes without a word and in which over 1 % of the pixels are visibly others. Below stands how many
of the photos as they are were rejected, which should be none.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402 - the project is found first
from benchmarks._flags import Flags, existing
from components.common.images.pixels import find_images
from components.common.terminal import exit_on_error
from components.validate.scan.damage import DamagedError, decode_luma

LEAST_PX = 128
SAVED = {
    "baseline": {"quality": 85},
    "progressive": {"quality": 85, "progressive": True},
    "restart markers": {"quality": 85, "restart_marker_rows": 1},
    "optimised, 4:2:0": {"quality": 50, "subsampling": 2, "optimize": True},
    "grey": {"quality": 85},
    "stored as RGB": {"quality": 85, "keep_rgb": True},
}
Damage = Callable[[bytes, int, random.Random], bytes]


def flip(count: int) -> Damage:
    """Flip single bits of the coded picture."""

    def damage(data: bytes, start: int, dice: random.Random) -> bytes:
        changed = bytearray(data)
        for _ in range(count):
            changed[dice.randrange(start, len(data) - 2)] ^= 1 << dice.randrange(8)
        return bytes(changed)

    return damage


def put(length: int, with_: Callable[[random.Random, int], bytes]) -> Damage:
    """Overwrite a piece, or lose it where nothing is put there."""

    def damage(data: bytes, start: int, dice: random.Random) -> bytes:
        place = dice.randrange(start, max(start + 1, len(data) - 2 - length))
        end = min(place + length, len(data) - 2)
        return data[:place] + with_(dice, end - place) + data[end:]

    return damage


def end_early(data: bytes, start: int, dice: random.Random) -> bytes:
    """Cut anywhere, and put a valid end behind."""
    return data[: dice.randrange(start, len(data) - 2)].rstrip(b"\xff") + b"\xff\xd9"


DAMAGE: dict[str, Damage] = {
    "one bit flipped": flip(1),
    "ten bits flipped": flip(10),
    "one byte lost": put(1, lambda dice, length: b""),
    "100 bytes lost": put(100, lambda dice, length: b""),
    "64 bytes zeroed": put(64, lambda dice, length: bytes(length)),
    "512 bytes zeroed": put(512, lambda dice, length: bytes(length)),
    "4096 bytes zeroed": put(4096, lambda dice, length: bytes(length)),
    "512 bytes of something else": put(512, lambda dice, length: dice.randbytes(length)),
    "ends early, with a valid end": end_early,
}


def main() -> None:
    """Print the share that is found, kind by kind."""
    parser = Flags(__file__, __doc__, "--photos data/photos")
    parser.add_argument("--photos", type=existing, required=True, help="folder of JPEGs")
    parser.add_argument("--count", type=int, default=60, help="photos that are damaged (60)")
    args = parser.parse_args()
    files = [file for file in find_images(args.photos) if file.suffix.lower() in (".jpg", ".jpeg")]
    dice = random.Random(0)  # noqa: S311 - not for secrets
    chosen = dice.sample(files, min(args.count, len(files)))
    for name, damage in DAMAGE.items():
        found = []
        for saved, options in SAVED.items():
            seen = missed = 0
            for file in chosen:
                image = Image.open(file).convert("L" if saved == "grey" else "RGB")
                stream = io.BytesIO()
                image.save(stream, "JPEG", **options)
                whole = stream.getvalue()
                scan = whole.index(b"\xff\xda")
                start = scan + 2 + int.from_bytes(whole[scan + 2 : scan + 4], "big")
                broken = damage(whole, start, dice)
                if looks_other(whole, broken):
                    seen += 1
                    missed += not is_rejected(broken)
            found.append(f"{saved} {seen - missed}/{seen}")
        print(f"{name:30}{', '.join(found)}", flush=True)
    rejected = sum(is_rejected(file.read_bytes()) for file in files)
    print(f"photos as they are: {rejected} of {len(files):,} rejected")


def looks_other(whole: bytes, broken: bytes) -> bool:
    """Whether Pillow decodes a broken file without a word, to visibly other pixels."""
    try:
        seen = np.asarray(Image.open(io.BytesIO(broken)).convert("RGB"), int)
    except OSError:
        return False
    meant = np.asarray(Image.open(io.BytesIO(whole)).convert("RGB"), int)
    return seen.shape == meant.shape and (np.abs(seen - meant).max(axis=2) > 8).mean() > 0.01


def is_rejected(data: bytes) -> bool:
    """Whether validate calls a JPEG damaged."""
    try:
        decode_luma(data, *Image.open(io.BytesIO(data)).size, LEAST_PX)
    except DamagedError:
        return True
    return False


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()

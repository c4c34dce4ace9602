"""Damage that Pillow passes over is found; odd files that are whole are not taken for damaged.

The oracle is Pillow: it decodes each damaged file without a word, to other pixels.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.manifest import OK, QUARANTINED
from components.validate.scan.damage import decode_luma
from components.validate.scan.picture import inspect_file
from tests.deep import write_png

Damage = Callable[[bytes], bytes]
KINDS = {
    "plain": {"quality": 85},
    "fine": {"quality": 95, "subsampling": 0},
    "progressive": {"quality": 80, "progressive": True},
    "restarts": {"quality": 80, "restart_marker_rows": 1},
    "optimised": {"quality": 60, "optimize": True},
    "rgb": {"quality": 85, "keep_rgb": True},
}
MODES = ("RGB", "L", "CMYK")


def make_photo(width: int = 160, height: int = 120, seed: int = 0) -> Image.Image:
    """A smooth random picture with grain: like photographs, most of it in low frequencies."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
    grain = rng.integers(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def animate(kind: str) -> bytes:
    frames = [make_photo(32, 32, seed) for seed in range(3)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


def jpeg(kind: str, mode: str = "RGB", size: tuple[int, int] = (320, 240), seed: int = 0) -> bytes:
    return encode(make_photo(*size, seed).convert(mode), "JPEG", **KINDS[kind])


def find_scan(data: bytes) -> int:
    """Where the coded picture begins: behind the head of the first scan."""
    place = data.index(b"\xff\xda")
    return place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")


def zero_middle(data: bytes) -> bytes:
    start = find_scan(data)
    length = (len(data) - start) // 4
    place = start + length
    return data[:place] + bytes(length) + data[place + length :]


def end_early(data: bytes) -> bytes:
    start = find_scan(data)
    return data[: start + (len(data) - start) // 3].rstrip(b"\xff") + b"\xff\xd9"


def lose_a_sector(data: bytes) -> bytes:
    place = find_scan(data) + 700
    return data[:place] + data[place + 512 :]


def flip_bits(data: bytes, seed: int) -> bytes:
    changed, rng = bytearray(data), np.random.default_rng(seed)
    places = rng.integers(find_scan(data), len(data) - 2, 60)
    for place in places:
        # Neither made nor unmade a marker: Pillow would notice that itself.
        if changed[place - 1] != 0xFF and changed[place] not in (0xFF, 0xFE, 0xFD):
            changed[place] ^= 1
    return bytes(changed)


def drop_restart(data: bytes) -> bytes:
    return data.replace(b"\xff\xd2", b"", 1)


def drop_segment(data: bytes) -> bytes:
    return data[: data.index(b"\xff\xd2")] + data[data.index(b"\xff\xd3") :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [zero_middle, end_early, lose_a_sector])
def test_a_damaged_jpeg_is_found(tmp_path, kind: str, damage: Damage) -> None:
    data = jpeg(kind)
    assert_damaged(tmp_path, data, damage(data))


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_found(tmp_path, kind: str) -> None:
    data, passed_over, found = jpeg(kind), 0, 0
    for seed in range(16):
        broken = flip_bits(data, seed)
        try:
            Image.open(io.BytesIO(broken)).load()
        except OSError:  # Pillow notices by itself
            continue
        passed_over += 1
        found += look(tmp_path, broken)["status"] == QUARANTINED
    # A flip that leaves the lengths of all codes as they were is no error of the format.
    assert passed_over
    assert found >= passed_over * 0.75


@pytest.mark.parametrize("damage", [drop_restart, drop_segment])
def test_missing_parts_between_restart_markers_are_found(tmp_path, damage: Damage) -> None:
    data = jpeg("restarts")
    assert_damaged(tmp_path, data, damage(data))


def assert_damaged(tmp_path, whole: bytes, broken: bytes) -> None:
    seen, meant = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (broken, whole)
    )
    assert (np.abs(seen - meant).max(axis=2) > 8).mean() > 0.01, "it looks the same"
    assert look(tmp_path, whole)["status"] == OK
    row = look(tmp_path, broken)
    assert row["status"] == QUARANTINED
    assert row["reason"].startswith("damaged: ")


def look(tmp_path, data: bytes, **options: str) -> dict:
    (tmp_path / "file").write_bytes(data)
    return inspect_file(str(tmp_path / "file"), 8, 89.0, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_decoded_as_pillow_decodes_it(kind: str, mode: str) -> None:
    if kind == "rgb" and mode != "RGB":
        return
    for size in ((8, 9), (127, 128), (255, 256), (320, 240), (1025, 1500), (3000, 130)):
        data = jpeg(kind, mode, size)
        image = Image.open(io.BytesIO(data))
        image.draft("L", (128, 128))
        luma = decode_luma(data, *size, 128)
        if mode == "CMYK":
            assert luma is None or luma.shape == image.size[::-1]
        else:
            assert np.array_equal(luma, np.asarray(image.convert("L")))


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def put_behind_head(extra: bytes) -> Damage:
    return lambda data: data[:20] + extra + data[20:]  # behind JFIF's segment


def change_scan(data: bytes) -> bytes:
    """First, last, and bits of the coefficients as nought, as some cameras write them."""
    end = find_scan(data)
    return data[: end - 3] + bytes(3) + data[end:]


ODD: dict[str, Damage] = {
    "bytes behind the end": lambda data: data + b"\0\xff\xd8\xff" + b"uploaded by" * 50,
    "a second picture behind": lambda data: data + data,
    "bytes between segments": put_behind_head(b"\0\0ab"),
    "fill bytes before a marker": put_behind_head(b"\xff\xff\xff"),
    "fill bytes before the end": lambda data: data[:-2] + b"\xff" * 9 + b"\xff\xd9",
    "zeros before the end": lambda data: data[:-2] + bytes(300) + b"\xff\xd9",
    "a profile in pieces": put_behind_head(segment(0xE2, b"ICC_PROFILE\0\x02\x03junk")),
    "an unknown revision": lambda data: data.replace(b"JFIF\0\x01\x01", b"JFIF\0\x07\x01"),
    "an unknown colour transform": put_behind_head(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09")),
    "a broken Exif": put_behind_head(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff")),
    "a comment with markers": put_behind_head(segment(0xFE, b"\xff\xda\xff\xd9\xff\xd0" * 9)),
}


@pytest.mark.parametrize("kind", ["plain", "progressive", "restarts", "optimised"])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_jpeg_that_is_whole_is_usable(tmp_path, odd: str, kind: str) -> None:
    for seed in range(4):
        data = jpeg(kind, seed=seed)
        row, plain = look(tmp_path, ODD[odd](data)), look(tmp_path, data)
        assert (row["status"], row["reason"]) == (OK, "")
        assert row["phash"] == plain["phash"]


def test_an_odd_scan_of_a_camera_is_usable(tmp_path) -> None:
    assert look(tmp_path, change_scan(jpeg("plain")))["status"] == OK


def test_an_odd_jpeg_can_be_damaged_too(tmp_path) -> None:
    data = put_behind_head(b"\0\0ab")(end_early(jpeg("plain")))
    assert look(tmp_path, data)["reason"].startswith("damaged: ")


# --- other formats -----------------------------------------------------------------------------


def list_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += length + 12
    return chunks


def join_chunks(chunks: list[tuple[bytes, bytes]], salt: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body) ^ salt)
        for name, body in chunks
    )


def test_every_kind_of_damage_to_a_png_is_found(tmp_path) -> None:
    whole = encode(make_photo())
    chunks = list_chunks(whole)
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    head, end = chunks[0], (b"IEND", b"")
    assert look(tmp_path, join_chunks([head, (b"IDAT", packed), end]))["status"] == OK
    pixels = zlib.decompress(packed)
    broken = {
        "wrong checksums": join_chunks(chunks, salt=1),
        "a part is missing": join_chunks([head, (b"IDAT", packed[:4000] + packed[5000:]), end]),
        "zeros": join_chunks([head, (b"IDAT", packed[:4000] + bytes(900) + packed[4900:]), end]),
        "ends early": join_chunks([head, (b"IDAT", packed[:4000]), end]),
        "too few rows": join_chunks([head, (b"IDAT", zlib.compress(pixels[:9000])), end]),
        "no pixels": join_chunks([head, end]),
        "no palette": join_chunks([(b"IHDR", head[1][:9] + b"\x03\0\0\0"), *chunks[1:]]),
    }
    for name, data in broken.items():
        assert look(tmp_path, data)["status"] == QUARANTINED, name
    remark = join_chunks([head, (b"tEXt", b"\xff no text"), (b"IDAT", packed), end])
    assert look(tmp_path, remark)["status"] == OK


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"])
def test_a_picture_cut_off_is_found_in_every_format(tmp_path, kind: str) -> None:
    data = encode(make_photo(), kind)
    for share in (0.2, 0.5, 0.9):
        assert look(tmp_path, data[: int(len(data) * share)])["status"] == QUARANTINED, share


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "group4"])
def test_a_tiff_cut_off_is_called_damaged(tmp_path, compression: str) -> None:
    photo = make_photo().convert("1" if compression == "group4" else "RGB")
    data = encode(photo, "TIFF", compression=compression)
    for share in (0.2, 0.6, 0.97):
        reason = look(tmp_path, data[: int(len(data) * share)])["reason"]
        assert reason.startswith("damaged: a TIFF that is cut short"), share


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "jpeg"])
def test_a_broken_strip_of_a_tiff_is_found(tmp_path, compression: str) -> None:
    data = encode(make_photo(300, 400), "TIFF", compression=compression)
    assert look(tmp_path, data)["status"] == OK
    tags = Image.open(io.BytesIO(data)).tag_v2
    passed_over = 0
    for offset, length in zip(tags[273], tags[279], strict=True):
        for share in (0.5, 0.8, 0.97):
            place = offset + int(length * share)
            broken = data[:place] + bytes(20) + data[place + 20 :]
            try:
                Image.open(io.BytesIO(broken)).load()
                passed_over += 1
            except OSError:
                pass
            assert look(tmp_path, broken)["reason"].startswith("damaged: "), share
    assert passed_over, "Pillow notices all of it by itself"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "1", "I;16", "F"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_whole_tiffs_are_usable(tmp_path, mode: str, compression: str | None) -> None:
    photo = make_photo(300, 400)
    image = (
        Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else photo.convert(mode)
    )
    row = look(tmp_path, encode(image, "TIFF", compression=compression))
    assert (row["status"], row["reason"]) == (OK, "")


# --- frames, previews, remarks -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_used_by_choice(tmp_path, kind: str) -> None:
    row = look(tmp_path, animate(kind), frames="first")
    assert (row["status"], row["remarks"]) == (OK, ["frames: the first of several"])
    first = look(tmp_path, encode(make_photo(32, 32, 0)))
    assert row["brightness"] == pytest.approx(first["brightness"], abs=0.02)


def test_one_frame_is_no_animation(tmp_path) -> None:
    data = encode(make_photo(32, 32), "PNG", save_all=True, default_image=False)
    assert look(tmp_path, data)["remarks"] == []


def test_a_raw_file_of_a_camera_is_not_its_preview(tmp_path) -> None:
    data = encode(make_photo(), "TIFF", tiffinfo={254: 1})
    assert re.match("unknown format: a camera's raw file", look(tmp_path, data)["reason"])


def test_narrow_greys_and_profiles_are_remarked(tmp_path) -> None:
    from tests.profiles import BLUE, GREEN, RED, rgb

    grey = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    assert look(tmp_path, encode(grey))["remarks"] == ["grey range: 0 to 4095"]
    assert look(tmp_path, encode(grey))["brightness"] == pytest.approx(0.5, abs=0.01)
    colours = np.arange(4096).reshape(64, 64, 1).repeat(3, axis=2)
    row = look(tmp_path, write_png(colours, 2))
    assert row["remarks"] == ["grey range: 0 to 4095"]
    assert row["brightness"] == pytest.approx(0.5, abs=0.01)
    swapped = encode(make_photo(), "JPEG", icc_profile=rgb((BLUE, GREEN, RED), 2.2))
    assert look(tmp_path, swapped)["remarks"] == ["profile: made by hand"]
    broken = encode(make_photo(), "JPEG", icc_profile=b"nonsense" * 20)
    assert look(tmp_path, broken)["remarks"] == ["profile ignored: it cannot be read"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "lzma"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_what_the_page_calls_found(tmp_path, kind: str, options: dict[str, str]) -> None:
    """docs/data.md says so of these formats; what it says of the others, no decoder can."""
    for seed in range(4):
        photo = make_photo(200, 160, seed).convert("P" if kind == "GIF" else "RGB")
        data = encode(photo, kind, **options)
        place = len(data) // 3 + seed * len(data) // 12
        damaged = {
            "zeroed": data[:place] + bytes(512) + data[place + 512 :],
            "lost": data[:place] + data[place + 100 :],
        }
        if kind == "PNG" or options.get("compression") in ("tiff_adobe_deflate", "lzma"):
            damaged["flipped"] = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        for name, broken in damaged.items():
            assert look(tmp_path, broken)["status"] == QUARANTINED, (name, seed)

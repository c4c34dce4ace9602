"""One file → one row: every way to be broken has its reason; measures are held against oracles."""

import base64
import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from components.common.artifacts.manifest import OK, QUARANTINED
from components.common.images.measures import compute_moments, compute_sharpness, shrink
from components.common.images.phash import compute_phash
from components.validate.scan import picture
from components.validate.scan.picture import inspect_file
from tests.processes import run_python

EXIF_ORIENTATION = 0x0112


def make_photo(width: int = 160, height: int = 120, seed: int = 0) -> Image.Image:
    """A smooth random picture: like photographs, most of it in low frequencies."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    fine = rng.integers(-12, 13, (height, width, 3))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
    return Image.fromarray(np.clip(smooth + fine, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def inspect(
    tmp_path: Path, data: bytes, min_side_px: int = 8, max_megapixels: float = 89.0
) -> dict:
    file = tmp_path / "file"
    file.write_bytes(data)
    return inspect_file(str(file), min_side_px, max_megapixels)


def claim_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def animate(kind: str) -> bytes:
    frames = [make_photo(32, 32, seed) for seed in range(3)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


JPEG = encode(make_photo(), "JPEG", quality=90)
BROKEN = {
    "empty": (b"", "empty: "),
    "text": (b"no image at all", "not an image: "),
    "html": (b"<html><body>404</body></html>", "not an image: "),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image: "),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image: "),
    "truncated jpeg": (JPEG[: len(JPEG) // 2], "damaged: "),
    "truncated png": (encode(make_photo())[:9000], "damaged: "),
    "truncated webp": (encode(make_photo(), "WEBP", lossless=True)[:9000], ""),
    "flipped png": (
        bytes(b ^ (i == 5000) for i, b in enumerate(encode(make_photo()))),
        "damaged: ",
    ),
    "jpeg head alone": (JPEG[:300], ""),
    "bomb": (claim_size(60_000, 60_000), "decompression bomb: "),
    "too small": (encode(make_photo(40, 7)), "too small: 40 × 7 px"),
    "animated gif": (animate("GIF"), "animation: "),
    "animated png": (animate("PNG"), "animation: "),
    "animated webp": (animate("WEBP"), "animation: "),
    "tiff of pages": (animate("TIFF"), "animation: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_way_to_be_broken_has_its_reason(tmp_path, name):
    data, reason = BROKEN[name]
    row = inspect(tmp_path, data)
    assert row["status"] == QUARANTINED
    assert row["reason"].startswith(reason)
    assert "\n" not in row["reason"]
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert row["bytes"] == len(data)


STAND_INS = {
    "a pointer of DVC; run `dvc pull`": b"outs:\n- md5: a304\n  size: 3\n  path: 1.jpg\n",
    "a pointer of git-annex": b"/annex/objects/SHA256E-s12345--abcd.jpg\n",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 3\n",
    "what macOS puts beside a file": b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(99),
    "a server's answer": b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
    "a picture as base64 text": base64.b64encode(JPEG),
    "a picture that was saved as text": JPEG.decode("utf-8", "replace").encode(),
    "it begins with nothing but zeros": bytes(9000),
    "a web page": b"\n<!DOCTYPE html><html>",
}


@pytest.mark.parametrize("name", STAND_INS)
def test_what_stands_in_a_pictures_place_is_named(tmp_path, name):
    assert inspect(tmp_path, STAND_INS[name])["reason"].startswith(f"not an image: {name}")


def test_a_png_whose_profile_is_too_large_is_not_called_damaged(tmp_path):
    row = inspect(tmp_path, encode(make_photo(), "PNG", icc_profile=bytes(2 << 20)))
    assert row["reason"].startswith("too large: a text or colour profile in it")


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_a_jpeg_cut_off_anywhere_is_found(tmp_path, kind):
    data = encode(make_photo(), "JPEG", quality=80, progressive=kind == "progressive")
    for end in range(1, len(data) - 2, 97):
        assert inspect(tmp_path, data[:end])["status"] == QUARANTINED, end


def test_more_megapixels_than_the_params_allow_are_refused_undecoded(tmp_path):
    row = inspect(tmp_path, encode(make_photo(200, 200)), max_megapixels=0.039)
    assert row["reason"].startswith("decompression bomb: ")
    assert (row["width_px"], row["height_px"]) == (200, 200)
    assert inspect(tmp_path, encode(make_photo(200, 200)), max_megapixels=0.04)["status"] == OK


def test_a_file_too_large_is_digested_but_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MAX_BYTES", 1000)
    row = inspect(tmp_path, JPEG)
    assert row["reason"].startswith("too large: ")
    assert row["sha256"] == hashlib.sha256(JPEG).hexdigest()


def test_missing_folder_and_unreadable(tmp_path):
    assert inspect_file(str(tmp_path / "gone"), 8, 89)["reason"].startswith("missing: ")
    assert inspect_file(str(tmp_path), 8, 89)["reason"].startswith("unreadable: ")


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "LA", "1", "I;16"])
def test_modes(tmp_path, mode):
    photo = make_photo()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    else:
        image = photo.convert(mode)
    row = inspect(tmp_path, encode(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert (row["status"], row["mode"]) == (OK, mode)
    assert row["brightness"] == pytest.approx(np.asarray(photo.convert("L")).mean() / 255, abs=0.03)


def test_a_phone_photo_with_a_second_picture_behind_it_is_no_animation(tmp_path):
    data = encode(make_photo(), "MPO", save_all=True, append_images=[make_photo(40, 30, 1)])
    row = inspect(tmp_path, data)
    assert (row["status"], row["format"], row["width_px"]) == (OK, "JPEG", 160)


def test_orientation_is_kept_and_the_hash_is_of_the_upright_picture(tmp_path):
    upright = make_photo(128, 96)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    assert np.array_equal(
        np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encode(stored, exif=exif))))),
        np.asarray(upright),
    )
    row = inspect(tmp_path, encode(stored, exif=exif))
    assert (row["exif_orientation"], row["width_px"], row["height_px"]) == (6, 96, 128)
    assert row["phash"] == inspect(tmp_path, encode(upright))["phash"]


def test_damaged_exif_is_no_reason_to_reject(tmp_path):
    row = inspect(tmp_path, encode(make_photo(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff"))
    assert (row["status"], row["exif_orientation"]) == (OK, 1)


def test_measures_equal_their_definitions():
    luma = make_photo(90, 70).convert("L")
    pixels = np.asarray(luma, float)
    mean, deviation = compute_moments(luma.histogram())
    assert mean == pytest.approx(pixels.mean() / 255, rel=1e-12)
    assert deviation == pytest.approx(pixels.std() / 255, rel=1e-12)
    from scipy.ndimage import laplace

    expected = laplace(pixels, mode="nearest").var()
    assert compute_sharpness(np.asarray(luma)) == pytest.approx(expected, rel=1e-12)


def test_phash_equals_its_definition():
    from scipy.fft import dctn

    luma = make_photo(200, 140).convert("L")
    small = np.asarray(luma.resize((32, 32), Image.Resampling.BILINEAR), float)
    low = dctn(small, norm=None)[:8, :8].ravel()
    # The textbook transform, its median without the mean of the picture.
    bits = low > np.median(low[1:])
    expected = f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"
    assert compute_phash(luma, 0.2, 140) == expected


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_copies_look_the_same_and_others_do_not(tmp_path):
    for seed in range(20):
        photo = make_photo(320, 240, seed)
        phash = inspect(tmp_path, encode(photo))["phash"]
        half = photo.resize((160, 120), Image.Resampling.BICUBIC)
        assert distance(phash, inspect(tmp_path, encode(photo, "JPEG", quality=50))["phash"]) <= 4
        assert distance(phash, inspect(tmp_path, encode(half, "WEBP"))["phash"]) <= 4
        assert distance(phash, inspect(tmp_path, encode(make_photo(seed=seed + 99)))["phash"]) > 10


def test_tiny_and_flat_pictures_have_no_hash(tmp_path):
    assert inspect(tmp_path, encode(make_photo(31, 200)))["phash"] == ""
    assert inspect(tmp_path, encode(Image.new("L", (99, 99), 7)))["phash"] == ""
    assert inspect(tmp_path, encode(make_photo(32, 200)))["phash"] != ""


@pytest.mark.parametrize("side", [1, 100, 127, 128, 255, 256, 300, 1000, 4001])
def test_pictures_are_measured_at_one_size(side):
    longer = max(shrink(Image.new("L", (side, 3 + side // 2))).size)
    assert longer == max(side, 3 + side // 2) if side < 256 else 128 <= longer <= 256


def test_blur_lowers_sharpness_at_any_size(tmp_path):
    from PIL import ImageFilter

    for width in (200, 1000):
        photo = make_photo(200, 200).resize((width, width), Image.Resampling.NEAREST)
        blurred = photo.filter(ImageFilter.GaussianBlur(width / 40))
        sharp, soft = (inspect(tmp_path, encode(i))["sharpness"] for i in (photo, blurred))
        assert soft < 20 < sharp


SEEDS = [
    encode(make_photo(24, 24), kind)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=12),
    st.integers(0, 2**16),
    st.binary(max_size=40),
)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_fuzzed_files_never_raise(tmp_path, seed, changes, cut, tail):
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    row = inspect(tmp_path, bytes(data[: cut % (len(data) + 1)] + tail))
    assert set(row) == {*picture.MEASURED, *picture.NOT_SEEN, "status", "reason"}
    assert (row["status"] == OK) == (row["reason"] == "")
    if row["status"] == OK:
        assert 0 <= row["brightness"] <= 1
        assert row["sharpness"] >= 0
        assert min(row["width_px"], row["height_px"]) >= 8


def test_fuzzed_headers_do_not_blow_up_memory(tmp_path):
    """Sizes in headers are made huge, in a process that may take 2 GiB."""
    for number, seed in enumerate(SEEDS):
        for place in range(0, min(len(seed), 120)):
            (tmp_path / f"{number}-{place}").write_bytes(seed[:place] + b"\x7f" + seed[place + 1 :])
    code = (
        "import re, resource, sys, pathlib\n"
        "from components.validate.scan.picture import inspect_file\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "rows = [inspect_file(str(f), 8, 4.0) for f in pathlib.Path(sys.argv[1]).iterdir()]\n"
        "assert not any('MemoryError' in row['reason'] for row in rows)\n"
        # Not ru_maxrss: that of a child begins at what its parent, pytest, holds.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(len(rows), int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) >> 10)\n"
    )
    count, peak_mb = map(int, run_python(code, tmp_path).split())
    assert count > 500
    assert peak_mb < 600

"""Pixels are right whatever the file is; the oracle is Pillow, or arithmetic on known colours."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm, find_images, read_pixels

WHITE = "#ffffff"


def form(size_px: int = 64, resize: str = "stretch", background: str = WHITE) -> ImageForm:
    return ImageForm(size_px, resize, background)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colour with some detail, as photographs have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def psnr(left: np.ndarray, right: np.ndarray) -> float:
    error = np.mean((left.astype(float) - right.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else np.inf


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_turned_photo_is_upright(orientation: int, resize: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo(90, 150), exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = read_pixels(encode(upright), form(resize=resize))
    assert np.array_equal(read_pixels(data, form(resize=resize)), expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0"])
def test_damaged_exif_means_upright(exif: bytes) -> None:
    plain = encode(photo(80, 80), "JPEG")
    assert np.array_equal(
        read_pixels(encode(photo(80, 80), "JPEG", exif=exif), form()), read_pixels(plain, form())
    )


def test_resize_is_pillows_antialiased_one() -> None:
    image = photo(200, 120)
    shrinking, size = Image.Resampling.HAMMING, (64, 64)
    found = {kind: read_pixels(encode(image), form(resize=kind)) for kind in ("stretch", "crop")}
    assert np.array_equal(found["stretch"], np.asarray(image.resize(size, shrinking)))
    assert np.array_equal(found["crop"], np.asarray(ImageOps.fit(image, size, shrinking)))


def test_pad_keeps_proportions_on_the_background() -> None:
    image = photo(200, 100)
    pixels = read_pixels(encode(image), form(resize="pad", background="#102030"))
    assert (pixels[:16] == (0x10, 0x20, 0x30)).all()
    assert (pixels[48:] == (0x10, 0x20, 0x30)).all()
    assert psnr(pixels[16:48], np.asarray(image.resize((64, 32), Image.Resampling.BICUBIC))) > 40


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 700)])
def test_extreme_shapes(resize: str, size: tuple[int, int]) -> None:
    pixels = read_pixels(encode(Image.new("RGB", size, "red")), form(resize=resize))
    assert pixels.shape == (64, 64, 3)
    assert (pixels == (255, 0, 0)).all(axis=-1).any()


def test_fine_patterns_become_grey_when_shrunk() -> None:
    checkers = np.indices((512, 512)).sum(0) % 2 * 255
    pixels = read_pixels(encode(Image.fromarray(checkers.astype(np.uint8))), form())
    assert np.abs(pixels.astype(int) - 127).max() <= 8  # nearest or plain bilinear give 0 and 255


def test_tiny_digits_are_enlarged_smoothly() -> None:
    from sklearn.datasets import load_digits

    digit = (load_digits().images[0] * 255 / 16).round().astype(np.uint8)
    pixels = read_pixels(encode(Image.fromarray(digit)), form(96))[..., 0].astype(int)
    steps = max(np.abs(np.diff(pixels, axis=axis)).max() for axis in (0, 1))
    assert steps < 0.2 * np.abs(np.diff(digit.astype(int))).max()
    assert abs(pixels.mean() - digit.mean()) < 3
    back = np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((8, 8), Image.Resampling.BOX))
    assert np.corrcoef(back.ravel(), digit.ravel())[0, 1] > 0.99


def test_large_jpeg_decoded_small_looks_the_same() -> None:
    image = photo(3000, 2000)
    grain = np.random.default_rng(1).normal(0, 12, (2000, 3000, 1))
    noisy = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    data = encode(noisy, "JPEG", quality=90)
    whole = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.LANCZOS)
    assert psnr(read_pixels(data, form(224)), np.asarray(whole)) > 38


def test_file_and_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    data = encode(photo(700, 500), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data)
    assert np.array_equal(read_pixels(tmp_path / "a.jpg", form()), read_pixels(data, form()))


# --- modes -------------------------------------------------------------------------------------


def flat(data: bytes, background: str = WHITE) -> tuple[int, ...]:
    """The one colour of an image."""
    pixels = read_pixels(data, form(background=background))
    assert (pixels == pixels[0, 0]).all()
    return tuple(int(value) for value in pixels[0, 0])


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGB", (10, 20, 30), "PNG", (10, 20, 30)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("LA", (77, 255), "PNG", (77, 77, 77)),
        ("LA", (77, 0), "PNG", (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), "PNG", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), "PNG", (255, 255, 255)),
        ("I;16", 0x8080, "PNG", (128, 128, 128)),  # clipped, it would be 255
        ("I;16", 0x8080, "TIFF", (128, 128, 128)),
        ("I;16B", 0x8080, "TIFF", (128, 128, 128)),
        ("I", 0x8080, "TIFF", (128, 128, 128)),
        ("F", 0.5, "TIFF", (128, 128, 128)),
        ("F", 128.0, "TIFF", (128, 128, 128)),
        ("CMYK", (255, 0, 0, 0), "TIFF", (0, 255, 255)),
        ("CMYK", (0, 0, 0, 255), "TIFF", (0, 0, 0)),
        ("YCbCr", (128, 128, 128), "TIFF", (128, 128, 128)),
        ("LAB", (255, 128, 128), "TIFF", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(
    mode: str, colour: object, kind: str, expected: tuple[int, ...]
) -> None:
    image = Image.new(mode, (80, 80), colour)
    found = flat(encode(image, kind))
    assert np.abs(np.subtract(found, expected)).max() <= 1, found


def test_inverted_cmyk_of_adobe_is_right() -> None:
    data = encode(Image.new("CMYK", (80, 80), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data  # the marker says that the values are stored inverted
    assert np.abs(np.subtract(flat(data), (255, 0, 0))).max() <= 3


def test_deep_grey_outside_its_range_is_spread() -> None:
    values = np.linspace(-1000, 3000, 64 * 64, dtype=np.float32).reshape(64, 64)
    pixels = read_pixels(encode(Image.fromarray(values), "TIFF"), form())
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_float_image_with_nan_is_read() -> None:
    values = np.full((64, 64), 0.5, np.float32)
    values[0, 0] = np.nan
    pixels = read_pixels(encode(Image.fromarray(values), "TIFF"), form())
    assert pixels[0, 0, 0] == 0
    assert pixels[32, 32, 0] == 128


@pytest.mark.parametrize("background", ["#ffffff", "#000000", "#3366cc"])
def test_alpha_is_composed_on_the_background(background: str) -> None:
    behind = np.array([int(background[i : i + 2], 16) for i in (1, 3, 5)])
    expected = np.rint(np.array([200, 100, 50]) * (128 / 255) + behind * (127 / 255))
    found = flat(encode(Image.new("RGBA", (80, 80), (200, 100, 50, 128))), background)
    assert np.abs(found - expected).max() <= 1


def test_hidden_colours_do_not_bleed() -> None:
    """Black under full transparency must not darken the rim of what is visible."""
    pixels = np.zeros((256, 256, 4), np.uint8)
    pixels[:, 128:] = 255  # right half white and opaque; left half black and transparent
    assert (read_pixels(encode(Image.fromarray(pixels)), form(32)) == 255).all()


@pytest.mark.parametrize("transparency", [0, bytes([0, 255]), bytes([128, 255])])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 0, 200, 0])
    image.paste(1, (32, 0, 64, 64))
    pixels = read_pixels(encode(image, transparency=transparency), form())
    left = 127 if transparency == bytes([128, 255]) else 255  # half black on white, or just white
    assert (pixels[:, :32] == left).all()
    assert (pixels[:, 32:] == (0, 200, 0)).all()


def test_palette_of_a_gif() -> None:
    image = Image.new("RGB", (64, 64), (0, 128, 255)).quantize(16)
    assert flat(encode(image, "GIF")) == (0, 128, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000"])
def test_every_format_is_read(kind: str) -> None:
    image = photo(100, 100)
    assert psnr(read_pixels(encode(image, kind), form(100)), np.asarray(image)) > 30


# --- bad input ---------------------------------------------------------------------------------


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable image"),
        (b"this is no image", "not a readable image"),
        (encode(photo(300, 300), "JPEG")[:2000], "not a readable image"),
        (encode(photo(300, 300))[:-600], "not a readable image"),
        (
            png_that_claims(60_000, 60_000),
            "60000 × 60000 pixels are more than the 89 million allowed",
        ),
        (png_that_claims(64, 64), "not a readable image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a readable image"),
    ],
)
def test_what_is_no_image_is_refused_in_words(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match=f"image: .*{message}|image: {message}"):
        read_pixels(data, form())
    (tmp_path / "bad.jpg").write_bytes(data)
    with pytest.raises(DarkroomError, match=r"bad\.jpg: "):
        read_pixels(tmp_path / "bad.jpg", form())


def test_missing_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match=r"gone\.jpg: not a readable image"):
        read_pixels(tmp_path / "gone.jpg", form())


SEEDS = [encode(photo(40, 30), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_fuzzed_bytes_give_pixels_or_a_clear_error(seed: bytes, draw: st.DataObject) -> None:
    data = bytearray(seed)
    places = st.lists(st.integers(0, len(data) - 1), max_size=12)
    for place in draw.draw(places):
        data[place] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(data)))
    for broken in (bytes(data), bytes(data[:cut])):
        try:
            assert read_pixels(broken, form(32)).shape == (32, 32, 3)
        except DarkroomError as error:
            assert str(error).startswith("image: ")  # noqa: PT017 - both ends are right


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_no_image(data: bytes) -> None:
    with pytest.raises(DarkroomError):
        read_pixels(data, form(32))


def test_images_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.webp", "notes.txt", ".hidden/3.png", "b/.4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)]
    assert found == ["a.webp", "b/1.png", "b/2.JPG"]

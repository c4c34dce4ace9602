"""Deep greys and colour profiles; the oracle is arithmetic on profiles and values made here."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image, ImageCms

from components.common.images import colour
from components.common.images.colour import convert_in_bands, convert_to_rgb, describe_profile
from components.common.images.pixels import ImageForm, read_pixels
from tests.deep import write_png, write_tiff
from tests.profiles import BLUE, GREEN, RED, cmyk_of_black_alone, grey, rgb

OLD = ImageForm(32, "stretch", "#ffffff")
DEEP_COLOURS = ImageForm(32, "stretch", "#ffffff", True, (), deep_colours=True)
NEW = ImageForm(32, "stretch", "#ffffff", srgb=True, grey_window=())


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def show(data: bytes, form: ImageForm = NEW) -> tuple[int, ...]:
    return tuple(int(value) for value in read_pixels(data, form)[16, 16])


def to_srgb(linear: float) -> float:
    """IEC 61966-2-1, 0 to 1."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


# --- deep greys --------------------------------------------------------------------------------


def ramp(low: float, high: float, kind: type) -> Image.Image:
    return Image.fromarray(np.linspace(low, high, 32 * 32).reshape(32, 32).astype(kind))


DEEP = [np.uint16, np.int32, np.float32]


@pytest.mark.parametrize("kind", DEEP)
def test_twelve_bits_in_a_file_of_more_are_seen(kind: type) -> None:
    data = encode(ramp(0, 4095, kind), "TIFF")
    pixels = read_pixels(data, NEW)
    assert (pixels.min(), pixels.max()) == (0, 255)
    middle = np.linspace(0, 255, 32 * 32).reshape(32, 32)
    assert np.abs(pixels[..., 0] - middle).max() <= 1


@pytest.mark.parametrize("kind", DEEP)
def test_a_stated_window_is_the_same_for_all_images(kind: type) -> None:
    form = ImageForm(32, "stretch", "#ffffff", grey_window=(1000.0, 3000.0))
    for low, high in ((0, 4095), (1500, 2500)):
        pixels = read_pixels(encode(ramp(low, high, kind), "TIFF"), form)[..., 0]
        values = np.linspace(low, high, 32 * 32).reshape(32, 32)
        assert np.abs(pixels - np.clip((values - 1000) / 2000 * 255, 0, 255)).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_what_fills_its_range_is_shown_by_it(kind: type) -> None:
    data = encode(ramp(0, 40_000, kind), "TIFF")
    assert np.array_equal(read_pixels(data, NEW), read_pixels(data, OLD))
    assert read_pixels(data, NEW).max() == round(40_000 / 65_535 * 255)


@pytest.mark.parametrize("value", [0, 7, 4095])
def test_one_value_alone_has_no_range(value: int) -> None:
    data = encode(Image.fromarray(np.full((32, 32), value, np.uint16)))
    assert show(data) == (round(value / 65_535 * 255),) * 3


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_one_value_below_nought_is_black(kind: type) -> None:
    assert show(encode(Image.fromarray(np.full((32, 32), -7, kind)), "TIFF")) == (0, 0, 0)


def test_models_that_were_trained_before_see_what_they_saw() -> None:
    """A card that says nothing of windows and profiles means: by type, and colours as stored."""
    earlier = {"size_px": 32, "resize": "stretch", "background": "#ffffff"}
    form = ImageForm(**earlier)
    assert read_pixels(encode(ramp(0, 4095, np.uint16)), form).max() == round(4095 / 65_535 * 255)
    data = encode(Image.new("RGB", (32, 32), (255, 0, 0)), icc_profile=rgb((BLUE, GREEN, RED), 2.2))
    assert show(data, form) == (255, 0, 0)


# --- deep colours ------------------------------------------------------------------------------


def draw_deep(bands: int, white: int) -> np.ndarray:
    values = np.random.default_rng(bands).integers(100, white, (32, 32, bands))
    values[0, 0], values[0, 1] = 100, white
    if bands in (2, 4):
        values[..., -1] = white  # opaque, in the same bits
    return values


WRITERS = {
    "PNG": lambda v: write_png(v, {2: 4, 3: 2, 4: 6}[v.shape[2]]),
    "TIFF": lambda v: write_tiff(v, "<"),
    "TIFF, big end first": lambda v: write_tiff(v, ">"),
    "TIFF, packed": lambda v: write_tiff(v, "<", is_packed=True),
}


@pytest.mark.parametrize(
    ("writer", "bands", "white"),
    [
        *((writer, *kind) for writer in WRITERS for kind in ((3, 4095), (3, 1023), (4, 4095))),
        ("PNG", 2, 4095),
    ],
)
def test_twelve_bits_of_colours_in_files_of_16_are_seen(writer, bands, white, tmp_path):
    values = draw_deep(bands, white)
    data = WRITERS[writer](values)
    wanted = (values[..., : bands - (bands in (2, 4))] - 100.0) / (white - 100) * 255
    wanted = wanted if wanted.shape[2] == 3 else wanted.repeat(3, axis=2)
    found = read_pixels(data, DEEP_COLOURS)
    assert np.abs(found - wanted).max() <= 0.5
    (tmp_path / "a").write_bytes(data)
    assert np.array_equal(read_pixels(tmp_path / "a", DEEP_COLOURS), found)
    # Models that were trained before go on as they were: nearly black.
    assert read_pixels(data, NEW)[..., :3].max() < 20 or bands != 3
    window = replace(DEEP_COLOURS, grey_window=(0.0, 2.0 * white))
    shown = values[..., :1] if bands == 2 else values[..., :3]
    assert np.abs(read_pixels(data, window) - shown * 255 / (2 * white)).max() <= 0.5


@pytest.mark.parametrize("writer", ["PNG", "TIFF"])
def test_colours_that_fill_16_bits_stay_as_they_are(writer: str) -> None:
    data = WRITERS[writer](draw_deep(3, 65_535))
    assert np.array_equal(read_pixels(data, DEEP_COLOURS), read_pixels(data, NEW))


def test_a_form_comes_back_from_json_as_it_was() -> None:
    form = ImageForm(32, "crop", "#ffffff", srgb=True, grey_window=(0.0, 4095.0))
    assert ImageForm(**json.loads(json.dumps(form.describe()))) == form
    assert ImageForm(**json.loads(json.dumps(asdict(form)))) == form
    assert set(OLD.describe()) == {"size_px", "resize", "background"}  # so earlier code reads it


# --- profiles ----------------------------------------------------------------------------------


def test_pixels_of_a_profile_with_swapped_primaries_are_swapped() -> None:
    data = encode(Image.new("RGB", (64, 64), (255, 0, 0)), icc_profile=rgb((BLUE, GREEN, RED), 2.2))
    assert np.abs(np.subtract(show(data), (0, 0, 255))).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_linear_profile_is_brought_to_the_curve_of_srgb(kind: str) -> None:
    image = Image.new("RGB", (64, 64), (128, 128, 128))
    data = encode(image, kind, icc_profile=rgb((RED, GREEN, BLUE), 1.0))
    assert np.abs(np.subtract(show(data), round(255 * to_srgb(128 / 255)))).max() <= 2


def test_a_grey_profile_is_applied_to_grey() -> None:
    data = encode(Image.new("L", (64, 64), 128), icc_profile=grey(1.0))
    assert np.abs(np.subtract(show(data), round(255 * to_srgb(128 / 255)))).max() <= 2


def test_transparency_stays_where_it_was() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    image.paste((255, 0, 0, 0), (0, 0, 64, 32))
    pixels = read_pixels(encode(image, icc_profile=rgb((BLUE, GREEN, RED), 2.2)), NEW)
    assert (pixels[0, 0] == 255).all()
    assert np.abs(pixels[31, 0].astype(int) - (0, 0, 255)).max() <= 2


def test_a_palette_has_the_profile_of_its_colours() -> None:
    image = Image.new("RGB", (64, 64), (255, 0, 0)).quantize(4)
    data = encode(image, icc_profile=rgb((BLUE, GREEN, RED), 2.2))
    assert np.abs(np.subtract(show(data), (0, 0, 255))).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_the_profile_of_a_press_decides_what_its_inks_look_like(kind: str) -> None:
    profile = cmyk_of_black_alone()
    cyan, black = (
        encode(Image.new("CMYK", (64, 64), inks), kind, icc_profile=profile)
        for inks in ((255, 0, 0, 0), (0, 0, 0, 255))
    )
    assert min(show(cyan)) >= 250
    assert max(show(black)) <= 5
    assert show(cyan, OLD)[0] <= 5


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        bytes(200),
        rgb((BLUE, GREEN, RED), 2.2)[:150],
        grey(1.0),  # of another kind than the image
        cmyk_of_black_alone(),
    ],
)
def test_a_profile_of_no_use_is_ignored_and_said(profile: bytes) -> None:
    image = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB")
    data = encode(image, icc_profile=profile)
    assert np.array_equal(read_pixels(data, NEW), read_pixels(encode(image), NEW))
    opened = Image.open(io.BytesIO(data))
    assert describe_profile(opened).startswith("profile ignored: ")


def test_what_is_srgb_already_stays_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(image, icc_profile=profile)
    assert np.array_equal(read_pixels(data, NEW), read_pixels(encode(image), OLD))
    assert describe_profile(Image.open(io.BytesIO(data))) == ""


# --- huge pictures -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("size", [(700, 503), (33, 2001)])
def test_bands_give_what_the_whole_would(
    mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour, "_BAND", 9000)
    image = Image.radial_gradient("L").resize(size).convert("RGB").convert(mode)

    def convert(part: Image.Image) -> Image.Image:
        return convert_to_rgb(part, (255, 255, 255))

    small = convert_in_bands(image, convert, "RGB", 7)
    assert np.array_equal(np.asarray(small), np.asarray(convert(image).reduce(7)))

"""What spoils the images, against NumPy and Pillow done by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from components.evaluate.checks.corruptions import CORRUPTIONS, STRENGTHS, spoil
from components.evaluate.checks.robustness import choose_sample, measure_robustness

SIDE = 64


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Return two colourful pictures with a fine grain, uint8 (2, 64, 64, 3)."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(6 * x + phase) * np.cos(4 * y) for phase in (0, 1, 2)]
    one = 128 + 80 * np.stack(waves, axis=2)
    one += np.random.default_rng(0).normal(0, 8, one.shape)
    return np.clip(np.stack([one, one[::-1, :, ::-1]]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_strength_is_stronger_and_the_same_each_time(name: str, pixels: np.ndarray) -> None:
    gaps = []
    for strength in STRENGTHS:
        spoilt = spoil(pixels, name, strength)
        assert spoilt.shape == pixels.shape
        assert spoilt.dtype == np.uint8
        assert np.array_equal(spoilt, spoil(pixels, name, strength))
        gaps.append(np.abs(spoilt.astype(float) - pixels).mean())
    assert 0 < gaps[0] < gaps[1] < gaps[2]


@pytest.mark.parametrize(("strength", "deviation"), [(1, 10), (2, 25), (3, 50)])
def test_noise_has_the_deviation_it_says(strength: int, deviation: float) -> None:
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    noise = spoil(grey, "noise", strength).astype(float) - 128
    # Beyond 0 and 255 it is cut: what is left of a normal distribution cut at ±128.
    cut = np.clip(np.random.default_rng(9).normal(0, deviation, 10**6), -128, 127)
    assert noise.mean() == pytest.approx(0, abs=0.5)
    assert noise.std() == pytest.approx(cut.std(), rel=0.02)
    assert np.corrcoef(noise[0, :, :, 0].ravel(), noise[0, :, :, 1].ravel())[0, 1] < 0.02


@pytest.mark.parametrize(("strength", "share"), [(1, 0.005), (2, 0.01), (3, 0.02)])
def test_blur_is_a_gaussian_of_a_share_of_the_side(
    strength: int, share: float, pixels: np.ndarray
) -> None:
    blurred = spoil(pixels, "blur", strength)[0].astype(float)

    def compare(sigma: float) -> float:
        expected = gaussian_filter(pixels[0].astype(float), (sigma, sigma, 0), mode="nearest")
        return float(np.abs(blurred - expected)[4:-4, 4:-4].mean())

    assert compare(share * SIDE) < 1  # grey values of 255: Pillow's is made of boxes
    assert compare(2 * share * SIDE) > compare(share * SIDE)


@pytest.mark.parametrize(("strength", "quality"), [(1, 40), (2, 20), (3, 8)])
def test_jpeg_is_pillows_of_that_quality(strength: int, quality: int, pixels: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels[1]).save(stream, "JPEG", quality=quality)
    expected = np.asarray(Image.open(stream))
    assert np.array_equal(spoil(pixels, "jpeg", strength)[1], expected)


@pytest.mark.parametrize(("strength", "change"), [(1, 1.3), (2, 1.7), (3, 2.2)])
def test_brightness_multiplies_or_divides(strength: int, change: float) -> None:
    grey = np.full((32, 8, 8, 3), 100, np.uint8)
    values = set(np.unique(spoil(grey, "brightness", strength)).tolist())
    both = {int(100 * change + 1e-6), int(100 / change)}
    assert len(values) == 2  # of 32 images some become brighter, some darker
    assert all(min(abs(value - one) for one in both) <= 1 for value in values)


@pytest.mark.parametrize(("strength", "degrees"), [(1, 5), (2, 15), (3, 30)])
def test_rotation_turns_by_its_angle_either_way(strength: int, degrees: float) -> None:
    dot = np.zeros((24, 101, 101, 3), np.uint8)
    dot[:, 48:53, 88:93] = 255  # 40 px to the right of the centre
    turned = spoil(dot, "rotation", strength)[..., 0].astype(float)
    angles = set()
    for one in turned:
        one[one < 60] = 0
        y, x = (np.mgrid[0:101, 0:101] * one).sum(axis=(1, 2)) / one.sum() - 50
        assert np.hypot(x, y) == pytest.approx(40, abs=0.5)
        angles.add(round(float(np.degrees(np.arctan2(-y, x)))))
    assert len(angles) == 2
    assert {abs(angle) for angle in angles} == {degrees}


def test_rotation_fills_its_corners_with_the_mean_of_the_edges() -> None:
    plain = np.full((1, 64, 64, 3), (200, 150, 90), np.uint8)
    assert np.array_equal(spoil(plain, "rotation", 3), plain)


@pytest.mark.parametrize(("strength", "share"), [(1, 0.9), (2, 0.75), (3, 0.6)])
def test_crop_shows_a_part_of_that_side(strength: int, share: float) -> None:
    ramp = np.arange(200, dtype=np.uint8)
    pixels = np.zeros((4, 200, 200, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = ramp[None, :], ramp[:, None]
    for one in spoil(pixels, "crop", strength).astype(float):
        for axis, channel in ((1, 0), (0, 1)):
            line = one[..., channel].mean(axis=1 - axis)
            assert line[-5] - line[4] == pytest.approx(share * 191, rel=0.03)


def test_accuracy_is_counted_on_every_spoilt_image(pixels: np.ndarray) -> None:
    """A network that knows brightness alone: right on clean images, lost on the darkened."""
    dark, bright = np.full((16, 16, 3), 90, np.uint8), np.full((16, 16, 3), 160, np.uint8)
    images, labels = [dark, bright] * 5, np.array([0, 1] * 5)
    seen = []

    def answer(batch: np.ndarray) -> np.ndarray:
        seen.append(len(batch))
        is_bright = batch.mean(axis=(1, 2, 3)) > 125
        return np.stack([~is_bright, is_bright], axis=1).astype(float)

    found = {one.name: one for one in measure_robustness(answer, images, labels, 0.95, 4)}
    assert set(seen) == {4}  # the last batch is filled up, so that one shape is compiled
    assert len(found) == 1 + len(CORRUPTIONS) * len(STRENGTHS)
    assert {one.images for one in found.values()} == {10}
    assert found["clean.0"].accuracy == found["jpeg.3"].accuracy == found["blur.3"].accuracy == 1
    spoilt = spoil(np.stack(images), "brightness", 3)
    right = (spoilt.mean(axis=(1, 2, 3)) > 125) == labels
    assert found["brightness.3"].accuracy == right.mean() < 1


def test_the_sample_is_spread_over_the_split() -> None:
    assert list(choose_sample(5, 128)) == [0, 1, 2, 3, 4]
    assert list(choose_sample(101, 3)) == [0, 50, 100]
    assert list(choose_sample(10, 0)) == []

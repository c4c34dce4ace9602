"""Random changes of images against NumPy, SciPy and Pillow, which know what each should give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from components.common.backend import tf
from components.train.augmentation.augment import augment, create_matrices
from components.train.augmentation.colour import CHANGES, change_colours
from components.train.augmentation.mixing import mix
from components.train.augmentation.policies import COLOURS, MOVES, NAMES, POLICIES, choose_changes
from components.train.augmentation.warp import warp
from components.train.feed.batches import create_dice
from components.train.spec import Augment
from tests.conftest import load_digits

STILL: dict[str, Any] = {
    "rotation_degrees": 0,
    "shear_degrees": 0,
    "zoom": 0,
    "shift": 0,
    "crop": 0,
    "colour": 0,
    "erase": 0,
    "flip": "never",
}
SIZE, MANY = 32, 512


def make_pixels(count: int = MANY, size: int = SIZE) -> np.ndarray:
    """Return digits in colour: uint8 (count, size, size, 3), with a different picture a channel."""
    digits = load_digits()[0]
    chosen = digits[np.arange(count * 3) % len(digits)].reshape(count, 3, 8, 8)
    large = [
        np.stack([np.array(Image.fromarray(c).resize((size, size))) for c in p]) for p in chosen
    ]
    return np.stack(large).transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return make_pixels()


def dice(count: int = MANY, step: int = 0) -> Any:
    return create_dice(0, 1, np.int64(step), count, np.arange(count))


def change(pixels: np.ndarray, flip: bool = False, **settings: Any) -> np.ndarray:
    return augment(
        tf.constant(pixels), Augment(**(STILL | settings)), flip, dice(len(pixels))
    ).numpy()


def test_nothing_asked_for_changes_nothing(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(change(pixels), pixels)


def test_half_of_the_images_are_mirrored(pixels: np.ndarray) -> None:
    changed = change(pixels, flip=True)
    mirrored = np.array([not np.array_equal(a, b) for a, b in zip(changed, pixels, strict=True)])
    np.testing.assert_array_equal(changed[mirrored], pixels[mirrored][:, :, ::-1])
    assert 0.4 < mirrored.mean() < 0.6


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation_degrees": 30},
        {"shear_degrees": 20},
        {"zoom": 0.5},
        {"shift": 0.2},
        {"crop": 0.5},
        {"policy": "trivialaugment"},
        {"rotation_degrees": 15, "zoom": 0.3, "shift": 0.1, "shear_degrees": 10},
    ],
    ids=str,
)
def test_the_warp_is_that_of_scipy(pixels: np.ndarray, settings: dict[str, Any]) -> None:
    """One matrix an image, then SciPy resamples with it."""
    few = pixels[:16]
    found = Augment(**(STILL | settings))
    choice = choose_changes(found.policy, dice(16))
    matrices = create_matrices(found, True, dice(16), choice).numpy().astype(float)
    warped = warp(tf.constant(few), tf.constant(matrices, tf.float32)).numpy()
    centre = (SIZE - 1) / 2
    for image, matrix, ours in zip(few, matrices, warped, strict=True):
        linear = matrix[::-1, 1::-1]  # (x, y) → (row, column)
        shift = matrix[::-1, 2] * SIZE / 2
        offset = centre + shift - linear @ [centre, centre]
        for channel in range(3):
            oracle = ndimage.affine_transform(
                image[..., channel].astype(float), linear, offset, order=1, mode="reflect"
            )
            # SciPy mixes a border pixel with its mirror image, as the warp takes it whole.
            difference = np.abs(oracle - ours[..., channel])
            assert np.quantile(difference, 0.97) < 0.1, (matrix, settings)
    assert not np.array_equal(warped, few)


def test_moves_go_as_far_as_they_may() -> None:
    def read(**settings: Any) -> np.ndarray:
        return create_matrices(Augment(**(STILL | settings)), False, dice(4000)).numpy()

    turned = read(rotation_degrees=20)
    angles = np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert (angles.min(), angles.max()) == pytest.approx((-20, 20), abs=0.2)
    zoomed = read(zoom=0.25)
    scales = np.sqrt(np.linalg.det(zoomed[:, :, :2]))
    assert (scales.min(), scales.max()) == pytest.approx((0.8, 1.25), abs=0.01)
    assert np.median(scales) == pytest.approx(1.0, abs=0.02)
    sheared = np.degrees(np.arctan(read(shear_degrees=10)[:, 0, 1]))
    assert (sheared.min(), sheared.max()) == pytest.approx((-10, 10), abs=0.1)
    shifted = read(shift=0.1)[:, :, 2] / 2  # matrices count in half sides
    assert np.abs(shifted).max() == pytest.approx(0.1, abs=0.001)
    cropped = read(crop=0.4)
    parts = cropped[:, 0, 0]
    assert (parts.min(), parts.max()) == pytest.approx((0.6, 1.0), abs=0.01)
    # A crop lies inside the image: its centre is no further out than what was cut away.
    assert (np.abs(cropped[:, :, 2]).max(axis=1) <= 1 - parts + 1e-6).all()


def pillow_factor(kind: Any) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, factor: kind(image).enhance(factor)


@pytest.mark.parametrize(
    ("name", "strength", "oracle", "limit"),
    [
        ("brightness", 0.5, lambda i: ImageEnhance.Brightness(i).enhance(1.45), 1),
        ("brightness", -0.5, lambda i: ImageEnhance.Brightness(i).enhance(0.55), 1),
        ("saturation", 0.7, lambda i: ImageEnhance.Color(i).enhance(1.63), 2),
        ("contrast", -0.7, lambda i: ImageEnhance.Contrast(i).enhance(0.37), 2),
        ("sharpness", 0.9, lambda i: ImageEnhance.Sharpness(i).enhance(1.81), 2),
        ("posterize", 0.5, lambda i: ImageOps.posterize(i, 6), 0),
        ("solarize", 0.5, lambda i: ImageOps.solarize(i, 128), 0),
        ("autocontrast", 1.0, ImageOps.autocontrast, 1),
        ("equalize", 1.0, ImageOps.equalize, 0),
    ],
)
def test_policy_colours_are_those_of_pillow(
    name: str, strength: float, oracle: Callable[[Image.Image], Image.Image], limit: int
) -> None:
    grainy = np.random.default_rng(0).normal(110, 35, (192, 192, 3)).clip(20, 220)
    smooth = ndimage.gaussian_filter(grainy, (2, 2, 0)) * 2 - 110
    image = smooth.clip(10, 230).astype(np.uint8)
    policy = POLICIES["randaugment"]  # colour 0.9, four bits
    changed = CHANGES[name](tf.constant(image, tf.float32), tf.constant(strength), policy).numpy()
    wanted = np.array(oracle(Image.fromarray(image))).astype(float)
    inner = np.s_[1:-1, 1:-1]  # Pillow leaves the border of a blur as it is
    assert np.abs(changed[inner] - wanted[inner]).max() <= limit + 0.5
    assert not np.array_equal(wanted, image)


@pytest.mark.parametrize(("name", "changes"), [("randaugment", 2), ("trivialaugment", 1)])
def test_policies_choose_every_change_equally_often(name: str, changes: int) -> None:
    choice = choose_changes(name, dice(7000))
    assert choice is not None
    kinds, strengths = choice.kinds.numpy(), choice.strengths.numpy()
    assert kinds.shape == (changes, 7000)
    counts = np.bincount(kinds.ravel(), minlength=len(NAMES))
    assert counts.min() > 0.8 * counts.mean()
    assert len(counts) == len(NAMES) == 1 + len(MOVES) + len(COLOURS)
    if name == "randaugment":  # magnitude 9 of 30, either way
        assert np.unique(np.abs(strengths)) == pytest.approx([0.3])
    else:
        assert np.abs(strengths).max() > 0.99
        assert np.abs(strengths).min() < 0.01
    assert (strengths > 0).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_a_policy_changes_most_images_and_keeps_the_range(pixels: np.ndarray, policy: str) -> None:
    changed = change(pixels[:64], policy=policy)
    assert (changed.min(), changed.max()) >= (0, 0)
    assert changed.max() <= 255
    same = [np.abs(a - b).max() < 1 for a, b in zip(changed, pixels[:64], strict=True)]
    assert 0 < np.mean(same) < 0.5


def test_colour_changes_as_far_as_it_may(pixels: np.ndarray) -> None:
    flat = np.full((MANY, 4, 4, 3), 100.0, np.float32)  # one grey: brightness alone can change it
    values = change_colours(tf.constant(flat), 0.3, dice()).numpy()
    assert np.ptp(values, axis=(1, 2, 3)).max() < 1e-3
    assert (values.min(), values.max()) == pytest.approx((70, 130), abs=1)
    changed = change_colours(tf.constant(pixels, tf.float32), 0.3, dice()).numpy()
    assert (changed.min(), changed.max()) == (0, 255)


def test_grey_images_stay_grey(pixels: np.ndarray) -> None:
    grey = np.repeat(pixels[:64, :, :, :1], 3, axis=3)
    for settings in ({"colour": 0.5}, {"policy": "trivialaugment"}, {"rotation_degrees": 20}):
        changed = change(grey, **settings)
        assert np.ptp(changed, axis=3).max() < 1e-2, settings


def test_erased_rectangles_have_the_image_s_mean(pixels: np.ndarray) -> None:
    changed = change(pixels, erase=0.5)
    erased = (changed != pixels).any(axis=3)  # (images, size, size)
    shares = erased.mean(axis=(1, 2))
    assert 0.4 < (shares > 0).mean() < 0.6
    assert shares.max() <= 0.33 + 0.05  # whole pixels
    for number in np.flatnonzero(shares > 0):
        mean = pixels[number].astype(float).mean(axis=(0, 1))
        values = changed[number][erased[number]]
        assert values == pytest.approx(np.broadcast_to(mean, values.shape), abs=0.01)
        rows, columns = np.nonzero(erased[number])
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        # Some of its pixels may have had the mean before.
        assert erased[number].sum() > 0.5 * box


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_labels_are_mixed_as_the_images_are(pixels: np.ndarray, kind: str) -> None:
    few = pixels[:8].astype(np.float32)
    targets = np.eye(8, dtype=np.float32)
    pair, partners = (few, targets), (few[::-1], targets[::-1])
    shares = []
    for step in range(40):
        images, labels = mix(pair, partners, Augment(**{kind: 1.0}), dice(8, step))
        images, labels = images.numpy(), labels.numpy()
        assert labels.sum(axis=1) == pytest.approx(1.0)
        own = labels[0, 0]
        np.testing.assert_allclose(np.diag(labels), own, atol=1e-6)
        if kind == "mixup":
            np.testing.assert_allclose(images, own * few + (1 - own) * few[::-1], atol=1e-2)
        else:
            pasted = (images == few[::-1]) & (few != few[::-1])
            kept = (images == few) & (few != few[::-1])
            assert (pasted | kept | (few == few[::-1])).all()
            where = pasted.any(axis=(0, 3))
            assert where.mean() == pytest.approx(1 - own, abs=0.1)  # equal pixels do not show
        shares.append(own)
    assert min(shares) < 0.4
    assert max(shares) > 0.7


def test_with_both_each_batch_gets_one(pixels: np.ndarray) -> None:
    few, targets = pixels[:4].astype(np.float32), np.eye(4, dtype=np.float32)
    blended = []
    for step in range(40):
        images, labels = mix(
            (few, targets),
            (few[::-1], targets[::-1]),
            Augment(mixup=1.0, cutmix=1.0),
            dice(4, step),
        )
        own = labels.numpy()[0, 0]
        blended.append(np.allclose(images, own * few + (1 - own) * few[::-1], atol=1e-2))
    assert 8 < sum(blended) < 32


def test_colours_change_as_the_three_steps_one_after_the_other() -> None:
    pixels, limit, rolled = make_pixels(64).astype(np.float32), 0.5, dice(64)
    found = change_colours(tf.constant(pixels), limit, rolled).numpy()
    brightness, contrast, saturation = (
        1 + rolled.around(number, limit).numpy()[:, None, None, None] for number in (30, 31, 32)
    )
    bright = pixels * brightness
    level = bright.mean(axis=(1, 2, 3), keepdims=True)
    strong = level + (bright - level) * contrast
    grey = (strong * (0.299, 0.587, 0.114)).sum(axis=3, keepdims=True)
    expected = np.clip(grey + (strong - grey) * saturation, 0, 255)
    assert np.abs(found - expected).max() < 0.01
    assert np.abs(found - pixels).mean() > 5  # it does something

"""Mirroring: decided by how mirrored images look, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from components.common.shards.examples import Examples
from components.train.augmentation.mirror import choose_flip, judge_mirroring
from tests.conftest import load_digits

NAMES = [str(digit) for digit in range(10)]


def make_examples(pixels: np.ndarray, labels: np.ndarray) -> Examples:
    large = np.stack([np.array(Image.fromarray(p).resize((32, 32))) for p in pixels])
    names = [str(number) for number in range(len(labels))]
    return Examples(np.repeat(large[..., None], 3, axis=3), labels.astype(np.int64), names, names)


@pytest.fixture(scope="module")
def digits() -> tuple[Examples, Examples]:
    pixels, labels = load_digits()
    return make_examples(pixels[:600], labels[:600]), make_examples(
        pixels[600:800], labels[600:800]
    )


def test_digits_must_not_be_mirrored(digits: tuple[Examples, Examples]) -> None:
    found = judge_mirroring(*digits, 10)
    assert not found.is_safe
    assert found.plain > 0.9
    assert found.mirrored < 0.6


def test_things_that_face_either_way_may_be_mirrored() -> None:
    pixels, labels = load_digits()
    turned = pixels.copy()
    turned[::2] = turned[::2, :, ::-1]  # now half of all face the other way
    both = (
        make_examples(turned[:900], labels[:900]),
        make_examples(turned[900:1100], labels[900:1100]),
    )
    assert judge_mirroring(*both, 10).is_safe


def test_the_setting_wins(digits: tuple[Examples, Examples]) -> None:
    assert choose_flip("always", *digits, NAMES)
    assert not choose_flip("never", *digits, NAMES)
    assert not choose_flip("auto", *digits, NAMES)


@pytest.mark.parametrize("mirrored", [True, False])
def test_two_mirrored_classes_among_forty_forbid_it(mirrored: bool) -> None:
    """Shapes that face either way, and a left and a right arrow among them, or none."""
    random = np.random.default_rng(0)
    shapes = random.integers(0, 255, (40, 16, 16))
    kinds = (shapes + shapes[:, :, ::-1]) // 2  # each its own mirror image
    if mirrored:
        kinds[38] = np.tri(16, dtype=int) * 255
        kinds[39] = kinds[38, :, ::-1]
    labels = np.repeat(np.arange(40), 12)
    noisy = kinds[labels] + random.normal(0, 25, (480, 16, 16))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    mixed = random.permutation(480)
    train, val = (make_examples(pixels[rows], labels[rows]) for rows in (mixed[:400], mixed[400:]))
    found = judge_mirroring(train, val, 40)
    assert found.plain > 0.95
    assert found.mirrored > 0.9  # all classes together show next to nothing
    assert found.is_safe == (not mirrored)
    assert {swap.label for swap in found.swaps} == ({38, 39} if mirrored else set())

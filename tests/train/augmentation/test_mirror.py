"""Mirroring: decided by how mirrored images look, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from components.common.shards.examples import Examples
from components.train.augmentation.mirror import choose_flip, is_mirror_safe
from tests.conftest import load_digits


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
    safe, plain, mirrored = is_mirror_safe(*digits)
    assert not safe
    assert plain > 0.9
    assert mirrored < 0.6


def test_things_that_face_either_way_may_be_mirrored() -> None:
    pixels, labels = load_digits()
    turned = pixels.copy()
    turned[::2] = turned[::2, :, ::-1]  # now half of all face the other way
    both = (
        make_examples(turned[:900], labels[:900]),
        make_examples(turned[900:1100], labels[900:1100]),
    )
    assert is_mirror_safe(*both)[0]


def test_the_setting_wins(digits: tuple[Examples, Examples]) -> None:
    assert choose_flip("always", *digits)
    assert not choose_flip("never", *digits)
    assert not choose_flip("auto", *digits)

"""The one warp an image: scipy resamples the same way, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

SIZE_PX = 24


def resample(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return what scipy makes of it; its axes are (y, x), its places pixels from the first."""
    size = len(image)
    linear, shift = matrix[:, :2][::-1, ::-1], matrix[:, 2][::-1] * size / 2
    centre = np.full(2, (size - 1) / 2)
    channels = [
        ndimage.affine_transform(
            image[..., channel].astype(np.float64),
            linear,
            centre - linear @ centre + shift,
            order=1,
            mode="reflect",
        )
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize(
    ("name", "matrices"),
    [
        ("same", [[[1, 0, 0], [0, 1, 0]]]),
        ("mirrored", [[[-1, 0, 0], [0, 1, 0]]]),
        ("far away", [[[1, 0, 2.3], [0, 1, -7.1]]]),
        ("small", [[[3.1, 0, 0.2], [0, 2.7, 0]]]),
        ("turned and sheared", [[[0.8, -0.6, 0.1], [0.6, 0.8, 0]], [[1, 0.3, 0], [0.1, 0.9, 0]]]),
    ],
)
def test_every_image_gets_its_own_map(name: str, matrices: list[list[list[float]]]) -> None:
    from components.train.augmentation.warp import warp

    maps = np.array(matrices, np.float32)
    shape = (len(maps), SIZE_PX, SIZE_PX, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = warp(pixels, maps).numpy()
    for image, matrix, changed in zip(pixels, maps, found, strict=True):
        # Places are known to a hundred-thousandth of a pixel.
        np.testing.assert_allclose(changed, resample(image, matrix), atol=0.02, err_msg=name)
    if name == "same":
        np.testing.assert_array_equal(found, pixels)


def test_an_image_looks_the_same_in_any_batch() -> None:
    """Several machines make parts of a batch, and must make what one machine makes of all of it."""
    from components.train.augmentation.warp import warp

    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (8, SIZE_PX, SIZE_PX, 3), np.uint8)
    maps = np.eye(2, 3, dtype=np.float32) + random.normal(0, 0.2, (8, 2, 3)).astype(np.float32)
    whole = warp(pixels, maps).numpy()
    parts = np.concatenate([warp(pixels[:4], maps[:4]), warp(pixels[4:], maps[4:])])
    np.testing.assert_array_equal(whole, parts)

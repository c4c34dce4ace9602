"""What may be mirrored, judged on features whose handedness is known."""

from __future__ import annotations

import numpy as np
import pytest

from components.train.mirror import is_mirror_safe


def make_features(handed: float, images: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return features and those of the mirror images; one channel of 40 knows left from right."""
    random = np.random.default_rng(0)
    features, mirrored = random.normal(size=(2, images, 40))
    features[:, 0] += handed
    mirrored[:, 0] -= handed
    return features, mirrored


@pytest.mark.parametrize(
    ("handed", "is_safe"), [(0.0, True), (0.05, True), (0.6, False), (3, False)]
)
def test_images_that_know_left_from_right_are_not_mirrored(handed: float, is_safe: bool) -> None:
    safe, told = is_mirror_safe(*make_features(handed))
    assert safe is is_safe
    assert (told > 0.6) is not is_safe


def test_few_images_do_not_forbid_by_luck() -> None:
    for images in (1, 4, 5, 12, 30):
        safe, _ = is_mirror_safe(*make_features(0.0, images))
        assert safe

"""The size that `auto` chooses."""

from __future__ import annotations

import pytest

from components.preprocess.sizes import choose_size_px


@pytest.mark.parametrize(
    ("shorter_px", "expected"),
    [(8, 96), (24, 96), (25, 128), (32, 128), (33, 160), (50, 224), (64, 224), (3000, 224)],
)
def test_size_follows_the_originals(shorter_px: int, expected: int) -> None:
    assert choose_size_px([shorter_px]) == expected


def test_the_median_counts() -> None:
    assert choose_size_px([8, 8, 8, 3000, 4000]) == 96
    assert choose_size_px([8, 3000, 4000]) == 224

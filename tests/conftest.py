"""Tiny real images for every test: the digits that scikit-learn ships."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@cache
def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (1797, 8, 8) uint8 and labels (1797,)."""
    from sklearn.datasets import load_digits as load

    digits = load()
    return (digits.images * 255 / 16).round().astype(np.uint8), digits.target


@pytest.fixture
def make_digits(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder of digits in class folders."""

    def make(
        per_class: int = 12, classes: int = 3, size_px: int = 32, folder: str = "digits"
    ) -> Path:
        pixels, labels = load_digits()
        root = tmp_path / folder
        for label in range(classes):
            place = root / f"digit-{label}"
            place.mkdir(parents=True)
            for number, index in enumerate(np.flatnonzero(labels == label)[:per_class]):
                image = Image.fromarray(pixels[index]).resize((size_px, size_px), Image.NEAREST)
                image.save(place / f"{number:03d}.png")
        return root

    return make

"""The bundled digits as images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from components.ingest.digits import write_digits


def test_every_digit_is_there_and_reads_back(tmp_path: Path) -> None:
    write_digits(tmp_path)
    digits = load_digits()
    assert sorted(p.name for p in tmp_path.iterdir()) == list("0123456789")
    files = sorted(tmp_path.glob("*/*.png"), key=lambda file: file.name)
    assert [int(file.parent.name) for file in files] == digits.target.tolist()
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])  # (1797, 8, 8)
    assert pixels.dtype == np.uint8
    # Ink is dark, and no shade of the source is lost.
    assert np.array_equal(np.rint((255 - pixels) / 255 * 16), digits.images)
    assert pixels[digits.images == 0].min() == 255
    assert pixels[digits.images == 16].max() == 0


def test_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    contents = []
    for name in "ab":
        (tmp_path / name).mkdir()
        write_digits(tmp_path / name)
        files = sorted((tmp_path / name).rglob("*.png"))
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]

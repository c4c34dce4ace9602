"""The bundled data set: 1,797 handwritten digits, real images that need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from components.common.terminal import track


def write_digits(folder: Path) -> None:
    """Write scikit-learn's digits as 8×8 grey PNG files, `<folder>/<digit>/<number>.png`.

    The source is the test part of Alpaydin & Kaynak, Optical Recognition of Handwritten Digits,
    UCI 1998 (CC BY 4.0): counts of ink from 0 to 16 in cells of 4×4 pixels. Ink becomes black on
    white paper, as it was scanned.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    paper = np.rint(255 - digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)
    for label in digits.target_names:
        (folder / str(label)).mkdir()
    pairs = zip(paper, digits.target, strict=True)
    for number, (pixels, label) in enumerate(track(pairs, "digits", "images", len(paper))):
        Image.fromarray(pixels).save(folder / str(label) / f"{number:04d}.png")

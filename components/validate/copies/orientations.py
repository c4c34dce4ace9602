"""The eight ways to lay a picture on a table: as it is, turned, mirrored."""

from __future__ import annotations

import numpy as np

from components.validate.copies.sketch import FREQUENCIES

# Whether sides are swapped, then whether top and bottom are, then left and right; first: upright.
ORIENTATIONS = tuple((s, v, h) for s in (False, True) for v in (False, True) for h in (False, True))
_DOWN, _ACROSS = np.mgrid[:FREQUENCIES, :FREQUENCIES]


def orient_frequencies(low: np.ndarray) -> np.ndarray:
    """Return frequencies (pictures, 64) as each orientation has them, (pictures, 8, 64)."""
    square = low.reshape(-1, FREQUENCIES, FREQUENCIES)
    found = []
    for swaps, vertical, horizontal in ORIENTATIONS:
        # Mirrored, a wave of odd frequency changes its sign.
        signs = (-1.0) ** (_DOWN * vertical + _ACROSS * horizontal)
        turned = square.swapaxes(1, 2) if swaps else square
        found.append((turned * signs.astype(np.float32)).reshape(len(square), FREQUENCIES**2))
    return np.stack(found, axis=1)


def orient_pixels(pixels: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Return pictures (pictures, …, side, side), each in its orientation, 0 to 7."""
    turned = pixels.copy()
    for number, (swaps, vertical, horizontal) in enumerate(ORIENTATIONS):
        rows = np.flatnonzero(orientations == number)
        part = pixels[rows]
        part = part.swapaxes(-1, -2) if swaps else part
        part = part[..., ::-1, :] if vertical else part
        turned[rows] = part[..., ::-1] if horizontal else part
    return turned


def orient_boxes(boxes: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Return boxes (pictures, 4): left, top, right, bottom; where they are in each orientation."""
    turned = boxes.copy()
    for number, (swaps, vertical, horizontal) in enumerate(ORIENTATIONS):
        rows = orientations == number
        left, top, right, bottom = boxes[rows].T
        if swaps:
            left, top, right, bottom = top, left, bottom, right
        if vertical:
            top, bottom = 1 - bottom, 1 - top
        if horizontal:
            left, right = 1 - right, 1 - left
        turned[rows] = np.stack([left, top, right, bottom], axis=1)
    return turned

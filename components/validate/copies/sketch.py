"""What is kept of every picture so that copies of it are found: a thumbnail and its frequencies.

A copy may be mirrored, turned, cut or captioned. So frequencies are kept of several *views*, parts
of the picture: what a copy lost at its edges, one of them has lost as well, or nearly so.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

THUMBNAIL_PX = 32
BASE_PX = 64  # the picture is shrunk to 64×64 before its frequencies are taken
FREQUENCIES = 8  # along each side
# Left, top, right, bottom, as shares of the picture: within its edges (three), without a caption
# (four), without two edges (four).
PARTS = (
    (0.025, 0.025, 0.975, 0.975),
    (0.05, 0.05, 0.95, 0.95),
    (0.1, 0.1, 0.9, 0.9),
    (0.0, 0.0, 1.0, 0.88),
    (0.0, 0.12, 1.0, 1.0),
    (0.0, 0.0, 1.0, 0.78),
    (0.0, 0.22, 1.0, 1.0),
    (0.0, 0.0, 0.95, 0.95),
    (0.05, 0.0, 1.0, 0.95),
    (0.0, 0.05, 0.95, 1.0),
    (0.05, 0.05, 1.0, 1.0),
)
SQUARES = (0.0, 0.0625)  # margins of the square in the middle: the usual centre crops
# The first views: all, what a border of one tone surrounds, what lies above a bar with a caption,
# and what below one.
WHOLE, CONTENT, BARE = 0, 1, (2, 3)
FOUND = 4  # views that are sought in the picture; the rest lie in the same place in all
VIEWS = FOUND + len(PARTS) + len(SQUARES)
CAPTIONED = range(FOUND + 3, FOUND + 7)
BORDER_DEVIATION = 8  # of luma, in a row that may be border: beside a picture JPEG ripples
BORDER_STEP = 12  # of a row's mean against that of the outermost
CAPTION = (0.02, 0.3)  # of the height, that a bar with a caption may take
LEGIBLE_PX = 64  # a smaller picture has no caption: the ground around a digit looks like its bar
BAR_SHARE = 0.5  # of each of its rows has the bar's tone; letters are thin
HEAD = (FOUND - 1) * 4 * 4  # bytes of their places, but for WHOLE
SIZE = HEAD + THUMBNAIL_PX**2 + VIEWS * FREQUENCIES**2  # bytes of a sketch


def draw_sketch(luma: Image.Image) -> bytes:
    """Return the sketch of a picture, SIZE bytes.

    Args:
        luma: the picture, grey and upright, some 128 pixels and more a side.
    """
    thumbnail = luma.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    base = luma.resize((BASE_PX, BASE_PX), Image.Resampling.BOX)
    sought = [find_content(np.asarray(luma)), *find_bare(np.asarray(luma))]
    boxes = np.array([(0, 0, 1, 1), *sought, *PARTS, *list_squares(*luma.size)], np.float32)
    low = compute_frequencies(np.asarray(base, np.float32), boxes)
    return (
        np.array(sought, np.float32).tobytes()
        + thumbnail.tobytes()
        + np.asarray(np.rint(low * 127), np.int8).tobytes()
    )


class Sketches:
    """The sketches of many pictures, side by side."""

    def __init__(self, sketches: list[bytes], sizes: np.ndarray) -> None:
        """Take sketches apart.

        Args:
            sketches: of `draw_sketch`.
            sizes: (pictures, 2), width and height, upright.
        """
        raw = np.frombuffer(b"".join(sketches), np.uint8).reshape(len(sketches), SIZE)
        end = HEAD + THUMBNAIL_PX**2
        # uint8 (pictures, 32, 32)
        self.thumbnails = raw[:, HEAD:end].reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)
        # int8 (pictures, VIEWS, 64), of length 127 each
        self.views = raw[:, end:].view(np.int8).reshape(-1, VIEWS, FREQUENCIES**2)
        self.boxes = np.empty((len(sketches), VIEWS, 4), np.float32)  # places of the views
        self.boxes[:, WHOLE] = (0, 0, 1, 1)
        sought = np.ascontiguousarray(raw[:, :HEAD]).view(np.float32)
        self.boxes[:, CONTENT:FOUND] = sought.reshape(-1, FOUND - 1, 4)
        self.boxes[:, FOUND : FOUND + len(PARTS)] = PARTS
        for picture, (width, height) in enumerate(sizes):
            self.boxes[picture, FOUND + len(PARTS) :] = list_squares(width, height)


def list_squares(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Return the places of the centre crops in a picture of so many pixels."""
    margins = (max(width - height, 0) / 2 / width, max(height - width, 0) / 2 / height)
    places = []
    for share in SQUARES:
        x, y = (margin + share * (1 - 2 * margin) for margin in margins)
        places.append((x, y, 1 - x, 1 - y))
    return places


def find_content(luma: np.ndarray) -> tuple[float, float, float, float]:
    """Return the place of what a border of one tone surrounds; all of it where there is none.

    Args:
        luma: uint8 (height, width).
    """
    (top, bottom), (left, right) = _find_ends(luma), _find_ends(luma.T)
    if right - left < 0.2 or bottom - top < 0.2:
        return (0.0, 0.0, 1.0, 1.0)
    return (left, top, right, bottom)


def find_bare(luma: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Return the place of what lies above a bar with a caption, and below one; all without a bar.

    Args:
        luma: uint8 (height, width).
    """
    if min(luma.shape) < LEGIBLE_PX:
        return [(0.0, 0.0, 1.0, 1.0)] * len(BARE)
    return [(0.0, 0.0, 1.0, 1 - _measure_bar(luma[::-1])), (0.0, _measure_bar(luma), 1.0, 1.0)]


def _measure_bar(rows: np.ndarray) -> float:
    """Return what share of the height a bar takes that begins with the first row; 0: there is none.

    Args:
        rows: uint8 (height, width).
    """
    tone = np.median(rows[0])
    is_bar = (np.abs(rows - tone) <= BORDER_STEP).mean(axis=1) >= BAR_SHARE
    share = float(np.argmin(np.append(is_bar, False))) / len(rows)
    return share if CAPTION[0] <= share <= CAPTION[1] else 0.0


def _find_ends(lines: np.ndarray) -> tuple[float, float]:
    means = lines.mean(axis=1)
    plain = lines.std(axis=1) <= BORDER_DEVIATION
    first = plain & (np.abs(means - means[0]) <= BORDER_STEP)
    last = (plain & (np.abs(means - means[-1]) <= BORDER_STEP))[::-1]
    start, end = (int(np.argmin(np.append(side, False))) for side in (first, last))
    return start / len(lines), 1 - end / len(lines)


def compute_frequencies(base: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the lowest frequencies of parts of a picture, each part's of length 1, without mean.

    Args:
        base: float32 (BASE_PX, BASE_PX).
        boxes: (parts, 4), left, top, right, bottom, 0 to 1.

    Returns:
        float32 (parts, 64): frequency down × 8 + frequency across, of the cosine transform.
    """
    across, down = _create_waves(boxes[:, 0::2]), _create_waves(boxes[:, 1::2])
    low = (down @ base @ across.transpose(0, 2, 1)).reshape(len(boxes), -1) * _WEIGHTS
    length = np.sqrt(np.square(low).sum(axis=1, keepdims=True))
    return np.asarray(low / np.maximum(length, 1e-6), np.float32)


def _create_waves(ends: np.ndarray) -> np.ndarray:
    """Return the waves between two ends, (parts, 8, BASE_PX), each zero outside."""
    low, high = ends[:, :1], ends[:, 1:]
    # The share of each pixel that lies inside.
    inside = np.clip(np.minimum(high, _EDGES[1:]) - np.maximum(low, _EDGES[:-1]), 0, None)
    place = (_MIDDLES - low) / (high - low)
    return np.asarray(np.cos(_ANGLES * place[:, None]) * (inside / (high - low))[:, None])


_EDGES = np.linspace(0, 1, BASE_PX + 1, dtype=np.float32)
_MIDDLES = (_EDGES[1:] + _EDGES[:-1]) / 2
_ANGLES = (np.pi * np.arange(FREQUENCIES, dtype=np.float32))[:, None]
# The amplitude of frequency f in a photograph is about 1 / f (Field, JOSA 1987): so weighted, all
# of them count. The mean, the picture's light, does not.
_WEIGHTS = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]).ravel().astype(np.float32) ** 0.75

"""What is kept of every picture so that copies of it are found: a thumbnail and its frequencies.

A copy may be mirrored, turned, cut or captioned. So frequencies are kept of several *views*, parts
of the picture: what a copy lost at its edges, one of them has lost as well, or nearly so.
"""

from __future__ import annotations

from functools import lru_cache

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
WAVES = HEAD + THUMBNAIL_PX**2  # where the views' frequencies begin
SIZE = WAVES + VIEWS * FREQUENCIES**2  # bytes of a sketch


Box = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the picture
ALL: Box = (0.0, 0.0, 1.0, 1.0)


def draw_sketch(luma: Image.Image, pixels: np.ndarray) -> bytes:
    """Return the sketch of a picture, SIZE bytes.

    Args:
        luma: the picture, grey and upright, some 128 pixels and more a side, at most 257.
        pixels: the same, uint8 (height, width).
    """
    base = luma.resize((BASE_PX, BASE_PX), Image.Resampling.BOX)
    thumbnail = base.reduce(BASE_PX // THUMBNAIL_PX)
    values = pixels.astype(np.float32)
    sought = (find_content(values), *find_bare(values))
    low = compute_frequencies(
        np.asarray(base, np.float32), *_create_waves_of_views(sought, *luma.size)
    )
    return (
        np.array(sought, np.float32).tobytes()
        + thumbnail.tobytes()
        + np.asarray(np.rint(low * 127), np.int8).tobytes()
    )


def place_squares(sizes: np.ndarray) -> np.ndarray:
    """Return the places of the centre crops in pictures, (pictures, SQUARES, 4).

    Args:
        sizes: (pictures, 2), width and height.
    """
    margins = (np.maximum(sizes - sizes[:, ::-1], 0) / 2 / sizes)[:, None]
    starts = margins + np.array(SQUARES)[:, None] * (1 - 2 * margins)
    return np.concatenate([starts, 1 - starts], axis=2)


def find_content(luma: np.ndarray) -> Box:
    """Return the place of what a border of one tone surrounds; all of it where there is none.

    Args:
        luma: float32 (height, width), whole numbers 0 to 255; at most 257 pixels a side, so that
            sums of squares are exact.
    """
    (top, bottom), (left, right) = _find_ends(luma), _find_ends(luma.T)
    if right - left < 0.2 or bottom - top < 0.2:
        return ALL
    return (left, top, right, bottom)


def find_bare(luma: np.ndarray) -> tuple[Box, Box]:
    """Return the place of what lies above a bar with a caption, and below one; all without a bar.

    Args:
        luma: as above.
    """
    if min(luma.shape) < LEGIBLE_PX:
        return ALL, ALL
    return (0.0, 0.0, 1.0, 1 - _measure_bar(luma[::-1])), (0.0, _measure_bar(luma), 1.0, 1.0)


def _measure_bar(rows: np.ndarray) -> float:
    """Return what share of the height a bar takes that begins with the first row; 0: there is none.

    Args:
        rows: (height, width).
    """
    height, width = rows.shape
    ordered = np.sort(rows[0])
    tone = (ordered[(width - 1) // 2] + ordered[width // 2]) / 2  # the median
    # Most pictures have no bar, as their first row tells; and of one too high, no more matters.
    low, high = (
        ordered.searchsorted(tone - BORDER_STEP),
        ordered.searchsorted(tone + BORDER_STEP, "right"),
    )
    if high - low < BAR_SHARE * width:
        return 0.0
    seen = rows[: int(CAPTION[1] * height) + 2]
    is_bar = (np.abs(seen - tone) <= BORDER_STEP).mean(axis=1) >= BAR_SHARE
    share = float(np.argmin(np.append(is_bar, False))) / height
    return share if CAPTION[0] <= share <= CAPTION[1] else 0.0


def _find_ends(lines: np.ndarray) -> tuple[float, float]:
    if not (_is_plain(lines[0]) or _is_plain(lines[-1])):  # as in most pictures
        return 0.0, 1.0
    width = lines.shape[1]
    means = lines.sum(axis=1).astype(np.float64) / width
    squares = np.einsum("ij,ij->i", lines, lines).astype(np.float64) / width
    plain = squares - means**2 <= BORDER_DEVIATION**2
    first = plain & (np.abs(means - means[0]) <= BORDER_STEP)
    last = (plain & (np.abs(means - means[-1]) <= BORDER_STEP))[::-1]
    start, end = (int(np.argmin(np.append(side, False))) for side in (first, last))
    return start / len(lines), 1 - end / len(lines)


def _is_plain(line: np.ndarray) -> bool:
    """Whether a line deviates as little as a border does."""
    total, squares = float(line.sum()), float(line.dot(line))
    return squares * len(line) - total**2 <= (BORDER_DEVIATION * len(line)) ** 2


def compute_frequencies(base: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the lowest frequencies of parts of a picture, each part's of length 1, without mean.

    Args:
        base: float32 (BASE_PX, BASE_PX).
        down: of `create_waves`.
        across: likewise.

    Returns:
        float32 (parts, 64): frequency down × 8 + frequency across, of the cosine transform.
    """
    low = (down @ base @ across).reshape(len(down), -1) * _WEIGHTS
    length = np.sqrt(np.square(low).sum(axis=1, keepdims=True))
    return np.asarray(low / np.maximum(length, 1e-6), np.float32)


@lru_cache(maxsize=64)  # of 70 kB: photos have few sizes, and most neither border nor caption
def _create_waves_of_views(
    sought: tuple[Box, ...], width_px: int, height_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the waves of all views: those sought in a picture, and those by its size."""
    squares = place_squares(np.array([[width_px, height_px]]))[0]
    return create_waves(np.array([ALL, *sought, *PARTS, *squares], np.float32))


def create_waves(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the waves down each part, (parts, 8, BASE_PX), and across it, (parts, BASE_PX, 8).

    Args:
        boxes: (parts, 4), left, top, right, bottom, 0 to 1.
    """
    across, down = _create_waves_between(boxes[:, 0::2]), _create_waves_between(boxes[:, 1::2])
    return down, across.transpose(0, 2, 1)


def _create_waves_between(ends: np.ndarray) -> np.ndarray:
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

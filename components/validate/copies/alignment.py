"""Lay pictures over one another as exactly as their pixels allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# An affine map says where a point (x, y, 1) of a first picture is in a second one, both 0 to 1:
# float32 (pairs, 2, 3).
CAUTION = 1e-3  # keeps a step small where pixels say nothing about a direction
LONGEST_STEP = 0.05
WHOLE = np.array([[[0, 0, 1, 1]]], np.float32)  # the box of a picture


def map_boxes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the affine maps that lay boxes (pairs, 4) of first pictures over those of second."""
    maps = np.zeros((len(first), 2, 3), np.float32)
    for axis in (0, 1):
        scale = (second[:, axis + 2] - second[:, axis]) / (first[:, axis + 2] - first[:, axis])
        maps[:, axis, axis] = scale
        maps[:, axis, 2] = second[:, axis] - scale * first[:, axis]
    return maps


def create_grid(side: int) -> np.ndarray:
    """Return the middles of side × side cells, float32 (side², 3): x, y, 1; row by row."""
    middles = (np.arange(side, dtype=np.float32) + 0.5) / side
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side, np.float32)], axis=1)


def sample(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what images show between their pixels, float32 (pairs, points).

    Args:
        images: uint8 or float32 (pairs, side, side).
        places: float32 (pairs, points, 2): x, y, 0 to 1.
    """
    (upper, upper_right, lower, lower_right), x, y = _take_corners(images, places)
    upper += (upper_right - upper) * x
    lower += (lower_right - lower) * x
    return np.asarray(upper + (lower - upper) * y)


def _sample_with_slopes(
    images: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what :func:`sample` does, and how it grows along x and y."""
    (upper, upper_right, lower, lower_right), x, y = _take_corners(images, places)
    above, below = upper_right - upper, lower_right - lower
    upper += above * x
    lower += below * x
    along_y = lower - upper
    along_x = above + (below - above) * y
    side = np.float32(images.shape[-1])
    return upper + along_y * y, along_x * side, along_y * side


def _take_corners(
    images: np.ndarray, places: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return the four pixels around places, and where between them these lie, 0 to 1."""
    pairs, side = images.shape[:2]
    pixel = np.clip(places * np.float32(side) - np.float32(0.5), 0, np.float32(side - 1.001))
    corner = pixel.astype(np.int32)
    x, y = (pixel - corner).transpose(2, 0, 1)
    starts = np.arange(pairs)[:, None] * side**2
    first = corner[..., 1] * side + corner[..., 0] + starts
    flat = images.reshape(-1)  # taken from by one number: by several it takes five times as long
    steps = (0, 1, side, side + 1)
    corners = [flat.take(first + step, mode="clip").astype(np.float32) for step in steps]
    return corners, x, y


def find_inside(places: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which places lie inside of boxes, bool (pairs, points).

    Args:
        places: (pairs, points, 2): x, y.
        boxes: (pairs, 1, 4): left, top, right, bottom.
    """
    x, y = places[..., 0], places[..., 1]
    left, top, right, bottom = boxes.transpose(2, 0, 1)
    return np.asarray((x >= left) & (x <= right) & (y >= top) & (y <= bottom))


def align(
    first: np.ndarray,
    second: np.ndarray,
    boxes: np.ndarray,
    maps: np.ndarray,
    *,
    points: int,
    steps: int,
) -> np.ndarray:
    """Return maps made better, by least squares over the map, light and contrast.

    What cannot be the same, such as a caption, counts little (Lucas & Kanade, IJCAI 1981, with
    weights as of Geman & McClure).

    Args:
        first: uint8 or float32 (pairs, side, side).
        second: likewise.
        boxes: (pairs, 4), what counts of the first: a caption may lie outside.
        maps: to begin with, right to a few hundredths.
        points: along each side, that are compared.
        steps: how often.
    """
    grid = np.tile(create_grid(points), (len(first), 1, 1))
    grid[..., :2] = boxes[:, None, :2] + grid[..., :2] * (boxes[:, 2:] - boxes[:, :2])[:, None]
    seen = sample(first, grid[..., :2])
    for _ in range(steps):
        places = grid @ maps.transpose(0, 2, 1)
        values, *slopes = _sample_with_slopes(second, places)
        maps = maps + _find_step(seen, values, slopes, find_inside(places, WHOLE), grid)
    return maps


def sample_grid(images: np.ndarray, points: int) -> np.ndarray:
    """Return what images (pairs, side, side) show at a grid's middles, (pairs, points²)."""
    places = np.broadcast_to(create_grid(points)[:, :2], (len(images), points * points, 2))
    return sample(images, places)


def _find_step(
    first: np.ndarray,
    second: np.ndarray,
    slopes: Sequence[np.ndarray],
    inside: np.ndarray,
    grid: np.ndarray,
) -> np.ndarray:
    gain, offset = fit_light(first, second, inside.astype(np.float32))
    rest = gain * second + offset - first
    total = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    spread = np.sqrt((inside * rest**2).sum(axis=1, keepdims=True) / total)
    weights = inside / np.square(1 + np.square(rest / np.maximum(1.5 * spread, 1)))
    # Columns: the six numbers of the map, contrast, light.
    system = np.empty((*second.shape, 8), np.float32)
    for place, slope in enumerate(slopes):
        columns = system[..., 3 * place : 3 * place + 3]
        np.multiply((gain * slope)[..., None], grid, out=columns)
    system[..., 6] = second
    system[..., 7] = 1
    weighted = (system * weights[..., None]).transpose(0, 2, 1)
    left = weighted @ system
    scale = np.trace(left[:, :6, :6], axis1=1, axis2=2)[:, None, None] / 6
    left += np.eye(8, dtype=np.float32) * (CAUTION * scale + 1e-3)
    step = np.linalg.solve(left, -(weighted @ rest[..., None]))[:, :6, 0]
    return np.asarray(np.clip(step, -LONGEST_STEP, LONGEST_STEP).reshape(-1, 2, 3))


def fit_light(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return contrast and light, (pairs, 1) each, that bring second values nearest to first."""
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
    ours, theirs = ((weights * v).sum(axis=1, keepdims=True) / total for v in (first, second))
    shared = (weights * (first - ours) * (second - theirs)).sum(axis=1, keepdims=True)
    own = (weights * np.square(second - theirs)).sum(axis=1, keepdims=True)
    gain = np.clip(shared / np.maximum(own, 1e-6), 0.3, 3)
    return gain, ours - gain * theirs

"""Lay pictures over one another as exactly as their pixels allow."""

from __future__ import annotations

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


def sample(images: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what images show between their pixels, and which places are inside of them.

    Args:
        images: float32 (pairs, channels, side, side).
        places: float32 (pairs, points, 2): x, y, 0 to 1.

    Returns:
        float32 (pairs, channels, points) and bool (pairs, points).
    """
    pairs, channels, side = images.shape[:3]
    pixel = np.clip(places * side - 0.5, 0, side - 1.001)
    corner = pixel.astype(np.int64)
    between = pixel - corner.astype(np.float32)
    x, y = between.transpose(2, 0, 1)[:, :, None].copy()  # each (pairs, 1, points)
    starts = np.arange(pairs * channels).reshape(pairs, channels, 1) * side**2
    first = (corner[..., 1] * side + corner[..., 0])[:, None] + starts
    flat = images.reshape(-1)  # taken from by one number: by several it takes five times as long
    upper, lower = (
        flat.take(first + row) * (1 - x) + flat.take(first + (row + 1)) * x for row in (0, side)
    )
    return upper * (1 - y) + lower * y, find_inside(places, WHOLE)


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
        first: float32 (pairs, side, side).
        second: float32 (pairs, side, side).
        boxes: (pairs, 4), what counts of the first: a caption may lie outside.
        maps: to begin with, right to a few hundredths.
        points: along each side, that are compared.
        steps: how often.
    """
    grid = np.tile(create_grid(points), (len(first), 1, 1))
    grid[..., :2] = boxes[:, None, :2] + grid[..., :2] * (boxes[:, 2:] - boxes[:, :2])[:, None]
    seen = sample(first[:, None], grid[..., :2])[0][:, 0]
    slopes = [np.gradient(second, axis=axis) * second.shape[-1] for axis in (2, 1)]
    images = np.stack([second, *slopes], axis=1)
    for _ in range(steps):
        values, inside = sample(images, grid @ maps.transpose(0, 2, 1))
        maps = maps + _find_step(seen, values, inside, grid)
    return maps


def sample_grid(images: np.ndarray, points: int) -> np.ndarray:
    """Return what images (pairs, side, side) show at a grid's middles, (pairs, points²)."""
    places = np.broadcast_to(create_grid(points)[:, :2], (len(images), points * points, 2))
    return sample(images[:, None], places)[0][:, 0]


def _find_step(
    first: np.ndarray, values: np.ndarray, inside: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    second = values[:, 0]
    gain, offset = fit_light(first, second, inside.astype(np.float32))
    rest = gain * second + offset - first
    total = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    spread = np.sqrt((inside * rest**2).sum(axis=1, keepdims=True) / total)
    weights = inside / np.square(1 + np.square(rest / np.maximum(1.5 * spread, 1)))
    slopes = gain[:, :, None] * values[:, 1:].transpose(0, 2, 1)  # (pairs, points, 2)
    # Columns: the six numbers of the map, contrast, light.
    columns = [slopes[..., :1] * grid, slopes[..., 1:] * grid]
    columns += [second[..., None], np.ones_like(second)[..., None]]
    system = np.concatenate(columns, axis=2)
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

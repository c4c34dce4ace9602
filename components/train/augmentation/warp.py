"""Resampling of a batch of images, each by an affine map of its own, compiled by XLA.

TensorFlow's own operator for it works one channel of one pixel after the other: on a CPU it took
six times as long, and that time is taken from training (benchmarks/train.py input).
"""

from __future__ import annotations

from typing import Any

from components.common.backend import tf


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def warp(pixels: Any, matrices: Any) -> Any:
    """Return images whose pixels are looked up, between four neighbours, in the old ones.

    Outside of it, an image goes on as its mirror image: a border of one colour would be a feature.

    Args:
        pixels: uint8 tensor (b, size_px, size_px, 3).
        matrices: float32 tensor (b, 2, 3), from places in the new image to places in the old one:
            linear part and shift, (x, y), in units of half the side, origin in the centre.

    Returns:
        float32 tensor (b, size_px, size_px, 3), 0 to 255.
    """
    size = pixels.shape[1]
    half = size / 2.0
    places = tf.range(size, dtype=tf.float32) + (0.5 - half)  # of pixels, from the centre
    x, y = places[None, None, :], places[None, :, None]

    def find(row: int) -> tuple[Any, Any, Any]:
        """Return the lower and the upper neighbour and the share of the upper one: (b, s, s)."""
        a, b, shift = (matrices[:, row, column, None, None] for column in range(3))
        place = _mirror(a * x + b * y + shift * half + half, float(size))
        lower = tf.floor(place)
        first = tf.cast(lower, tf.int32)
        return first, tf.minimum(first + 1, size - 1), (place - lower)[..., None]

    left, right, across = find(0)
    above, below, down = find(1)
    flat = tf.reshape(pixels, (-1, size * size, 3))

    def look_up(rows: Any, columns: Any) -> Any:
        found = tf.gather(flat, tf.reshape(rows * size + columns, (-1, size * size)), batch_dims=1)
        return tf.cast(tf.reshape(found, (-1, size, size, 3)), tf.float32)

    upper = look_up(above, left) * (1.0 - across) + look_up(above, right) * across
    lower = look_up(below, left) * (1.0 - across) + look_up(below, right) * across
    return upper * (1.0 - down) + lower * down


def _mirror(edges: Any, size: float) -> Any:
    """Return where places lie when the image is mirrored at its edges again and again.

    Args:
        edges: distance from the image's first edge, in pixels; any number.
        size: side of the image, pixels.

    Returns:
        Distance from the centre of the first pixel: 0 to size - 1.
    """
    turned = edges - tf.floor(edges / (2.0 * size)) * (2.0 * size)
    inside = tf.minimum(turned, 2.0 * size - turned)
    return tf.clip_by_value(inside - 0.5, 0.0, size - 1.0)


def compose(outer: Any, inner: Any) -> Any:
    """Return the map that applies `inner` first; both (b, 2, 3)."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = tf.linalg.matvec(outer[:, :, :2], inner[:, :, 2]) + outer[:, :, 2]
    return tf.concat([linear, shift[:, :, None]], axis=2)

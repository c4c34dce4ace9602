"""Random changes of training images: flip, rotation, shear, zoom and shift as one warp an image.

Each change is a matrix, so their product is one matrix and an image is resampled once: quicker and
sharper than one layer after the other.
"""

from __future__ import annotations

from typing import Any

from components.common.backend import tf
from components.train.spec import Augment


def augment(pixels: Any, settings: Augment, flip: bool, seed: Any) -> Any:
    """Return a batch of images, each changed in its own way.

    Args:
        pixels: uint8 or float tensor (b, size_px, size_px, 3).
        settings: how far each change may go.
        flip: whether half the images are mirrored.
        seed: int tensor (2,); the same seed gives the same changes.

    Returns:
        float32 tensor (b, size_px, size_px, 3), 0 to 255.
    """
    size = pixels.shape[1]
    matrices = create_matrices(tf.shape(pixels)[0], settings, flip, seed)  # (b, 2, 3)
    transforms = _around_centre(matrices, float(size))  # (b, 8)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pixels, tf.float32),
        transforms=transforms,
        output_shape=[size, size],
        interpolation="BILINEAR",
        fill_mode="REFLECT",  # a border of one colour would be a feature of its own
        fill_value=0.0,
    )


def create_matrices(count: Any, settings: Augment, flip: bool, seed: Any) -> Any:
    """Return random affine maps from places in the new image to places in the old one.

    Returns:
        float32 tensor (count, 2, 3): linear part and shift, in units of half the side, origin in
        the centre.
    """

    def uniform(number: int, limit: float) -> Any:
        """Return (count,) numbers between -limit and limit."""
        own = tf.random.experimental.stateless_fold_in(seed, number)
        return tf.random.stateless_uniform([count], own, -limit, limit)

    degree = 3.141592653589793 / 180.0
    turn = uniform(0, settings.rotation_degrees * degree)
    shear = tf.tan(uniform(1, settings.shear_degrees * degree))
    # Zooming in by z and out by z are equally far: 1 / (1 + z) to 1 + z, uniform in the logarithm.
    zoom = tf.exp(uniform(2, 1.0) * tf.math.log1p(settings.zoom))
    right, down = uniform(3, 2 * settings.shift), uniform(4, 2 * settings.shift)
    mirror = tf.where(uniform(5, 1.0) < 0.0, -1.0, 1.0) if flip else tf.ones([count])

    cos, sin = tf.cos(turn), tf.sin(turn)
    # rotation · shear · zoom · mirror, written out
    row_1 = tf.stack([cos * zoom * mirror, (cos * shear - sin) * zoom, right], axis=1)
    row_2 = tf.stack([sin * zoom * mirror, (sin * shear + cos) * zoom, down], axis=1)
    return tf.stack([row_1, row_2], axis=1)


def _around_centre(matrices: Any, size: float) -> Any:
    """Return the eight numbers an image that the warp takes: in pixels, from the first one."""
    centre = (size - 1.0) / 2.0
    linear, shift = matrices[:, :, :2], matrices[:, :, 2] * size / 2.0  # (b, 2, 2), (b, 2)
    # x_old = L (x_new - c) + c + s
    offset = shift + centre - centre * tf.reduce_sum(linear, axis=2)  # (b, 2)
    rows = tf.concat([linear, offset[:, :, None]], axis=2)  # (b, 2, 3)
    return tf.concat([tf.reshape(rows, (-1, 6)), tf.zeros([tf.shape(rows)[0], 2])], axis=1)

"""Random changes of training images: all that moves pixels as one warp an image.

Flip, rotation, shear, zoom, shift and crop are matrices, so their product is one matrix and an
image is resampled once: quicker and sharper than one layer after the other.
"""

from __future__ import annotations

import math
from typing import Any

from components.common.backend import tf
from components.train.augmentation.colour import change_colours, change_policy_colours
from components.train.augmentation.dice import Dice
from components.train.augmentation.policies import Choice, choose_changes
from components.train.augmentation.warp import compose, warp
from components.train.spec import Augment


def augment(pixels: Any, settings: Augment, flip: bool, dice: Dice) -> Any:
    """Return a batch of images, each changed in its own way.

    Args:
        pixels: uint8 tensor (b, size_px, size_px, 3).
        settings: how far each change may go.
        flip: whether half the images are mirrored.
        dice: of this batch; equal ones give equal changes.

    Returns:
        float32 tensor (b, size_px, size_px, 3), 0 to 255.
    """
    choice = choose_changes(settings.policy, dice)
    changed = warp(pixels, create_matrices(settings, flip, dice, choice))
    if choice is not None:
        changed = change_policy_colours(changed, choice)
    if settings.colour:
        changed = change_colours(changed, settings.colour, dice)
    return _erase(changed, settings.erase, dice) if settings.erase else changed


def create_matrices(settings: Augment, flip: bool, dice: Dice, choice: Choice | None = None) -> Any:
    """Return random affine maps from places in the new image to places in the old one.

    Returns:
        float32 tensor (b, 2, 3): linear part and shift, in units of half the side, origin in the
        centre.
    """
    degree = 3.141592653589793 / 180.0
    turn = dice.around(0, settings.rotation_degrees * degree)
    shear = tf.tan(dice.around(1, settings.shear_degrees * degree))
    # Zooming in by z and out by z are equally far: 1 / (1 + z) to 1 + z, uniform in the logarithm.
    zoom = tf.exp(dice.around(2, 1.0) * math.log1p(settings.zoom))
    right, down = dice.around(3, 2 * settings.shift), dice.around(4, 2 * settings.shift)
    mirror = tf.where(dice.around(5, 1.0) < 0.0, -1.0, 1.0) if flip else tf.ones_like(turn)
    if settings.crop:  # a part of the image, somewhere in it
        part = 1.0 - settings.crop * dice.share(6)
        right, down = (
            right + (1.0 - part) * dice.around(7, 1.0),
            down + (1.0 - part) * dice.around(8, 1.0),
        )
        zoom = zoom * part
    cos, sin = tf.cos(turn), tf.sin(turn)
    # rotation · shear · zoom · mirror, written out
    row_1 = tf.stack([cos * zoom * mirror, (cos * shear - sin) * zoom, right], axis=1)
    row_2 = tf.stack([sin * zoom * mirror, (sin * shear + cos) * zoom, down], axis=1)
    matrices = tf.stack([row_1, row_2], axis=1)
    return matrices if choice is None else compose(matrices, choice.matrices)


def _erase(pixels: Any, share: float, dice: Dice) -> Any:
    """Blank a rectangle, a fiftieth to a third of the area, of a share of the images.

    Random Erasing: Zhong et al. 2020. It gets the image's mean colour.
    """
    size = float(pixels.shape[1])
    chosen = dice.share(20) < share
    area = 0.02 + 0.31 * dice.share(21)
    ratio = tf.exp(dice.around(22, 1.0))
    high, wide = tf.sqrt(area * ratio), tf.sqrt(area / ratio)
    inside = _rectangle(size, (dice.share(23), dice.share(24)), (high, wide))
    return _blank(pixels, inside & chosen[:, None, None, None])


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _blank(pixels: Any, mask: Any) -> Any:
    """Return images with their mean colour where the mask (b, size, size, 1) is true."""
    return tf.where(mask, tf.reduce_mean(pixels, axis=(1, 2), keepdims=True), pixels)


def _rectangle(size: float, centre: tuple[Any, Any], extent: tuple[Any, Any]) -> Any:
    """Return a mask (b, size, size, 1) of rectangles; centres and extents are shares, (b,)."""
    places = (tf.range(size) + 0.5) / size
    rows = tf.abs(places[None] - centre[0][:, None]) < extent[0][:, None] / 2
    columns = tf.abs(places[None] - centre[1][:, None]) < extent[1][:, None] / 2
    return (rows[:, :, None] & columns[:, None, :])[..., None]

"""Random changes of colour: jitter for whole batches, and the colour changes of the policies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from components.common.backend import tf
from components.train.augmentation.dice import Dice
from components.train.augmentation.policies import COLOURS, NAMES, Choice, Policy

GREY = (0.299, 0.587, 0.114)  # luma of RGB, ITU-R BT.601, as Pillow's `L` has it


def change_colours(pixels: Any, limit: float, dice: Dice) -> Any:
    """Change brightness, contrast and saturation of each image by up to a share.

    Args:
        pixels: float32 (b, size_px, size_px, 3), 0 to 255.
        limit: 0 to 1.
        dice: of this batch.
    """
    factors = [1.0 + dice.around(number, limit)[:, None, None, None] for number in (30, 31, 32)]
    return apply_factors(pixels, *factors)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def apply_factors(pixels: Any, brightness: Any, contrast: Any, saturation: Any) -> Any:
    """Apply the three factors (b, 1, 1, 1), one after the other, in one pass over the images.

    Written out, because each is a mean with the image's grey level or with its own grey pixels; by
    XLA it takes a seventh of the time of the three steps.
    """
    level = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
    grey = tf.reduce_sum(pixels * GREY, axis=3, keepdims=True)
    changed = contrast * (saturation * pixels + (1.0 - saturation) * grey)
    return tf.clip_by_value(brightness * (changed + (1.0 - contrast) * level), 0.0, 255.0)


def change_policy_colours(pixels: Any, choice: Choice) -> Any:
    """Apply the colour changes that a policy chose, each image on its own.

    Args:
        pixels: float32 (b, size_px, size_px, 3), 0 to 255.
        choice: of this batch.
    """
    first = NAMES.index(COLOURS[0])

    def change(image: Any, kind: Any, strength: Any) -> Any:
        branches: list[Callable[[], Any]] = [
            partial(CHANGES[name], image, strength, choice.policy) for name in COLOURS
        ]
        branches.append(lambda: image)
        # What moves pixels comes before the colours and is done: it gets the last branch.
        number = tf.where(kind >= first, kind - first, len(COLOURS))
        return tf.switch_case(number, branches)

    for kinds, strengths in zip(
        tf.unstack(choice.kinds), tf.unstack(choice.strengths), strict=True
    ):
        pixels = tf.map_fn(
            lambda row: change(*row),
            (pixels, kinds, strengths),
            fn_output_signature=tf.TensorSpec(pixels.shape[1:], tf.float32),
        )
    return pixels


def _blend(image: Any, other: Any, strength: Any, policy: Policy) -> Any:
    """Move an image away from another, or towards it: factor 1 ± colour."""
    return tf.clip_by_value(other + (image - other) * (1.0 + policy.colour * strength), 0.0, 255.0)


def _grey(image: Any) -> Any:
    return tf.reduce_sum(image * GREY, axis=2, keepdims=True)


def _blur(image: Any) -> Any:
    """Return the image smoothed by Pillow's kernel SMOOTH."""
    kernel = tf.constant([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13.0
    padded = tf.pad(image[None], [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
    weights = tf.tile(kernel[:, :, None, None], [1, 1, 3, 1])
    return tf.nn.depthwise_conv2d(padded, weights, [1, 1, 1, 1], "VALID")[0]


def _posterize(image: Any, strength: Any, policy: Policy) -> Any:
    step = tf.pow(2.0, tf.round(tf.abs(strength) * policy.posterize_bits))
    return tf.floor(image / step) * step


def _solarize(image: Any, strength: Any, policy: Policy) -> Any:
    return tf.where(image >= 255.0 * (1.0 - tf.abs(strength)), 255.0 - image, image)


def _autocontrast(image: Any, strength: Any, policy: Policy) -> Any:
    low = tf.reduce_min(image, axis=(0, 1), keepdims=True)
    high = tf.reduce_max(image, axis=(0, 1), keepdims=True)
    return tf.where(high > low, (image - low) * 255.0 / tf.maximum(high - low, 1.0), image)


def _equalize(image: Any, strength: Any, policy: Policy) -> Any:
    """Spread each channel so that its values are used equally often, in the integers of Pillow."""
    levels = tf.cast(tf.round(image), tf.int32)
    channels = []
    for channel in tf.unstack(levels, axis=2):
        counts = tf.math.bincount(tf.reshape(channel, [-1]), minlength=256, maxlength=256)
        step = (tf.reduce_sum(counts) - counts[tf.reduce_max(channel)]) // 255
        table = (tf.cumsum(counts, exclusive=True) + step // 2) // tf.maximum(step, 1)
        channels.append(tf.where(step > 0, tf.gather(table, channel), channel))
    return tf.cast(tf.clip_by_value(tf.stack(channels, axis=2), 0, 255), tf.float32)


CHANGES: dict[str, Callable[[Any, Any, Policy], Any]] = {
    "brightness": lambda image, s, p: _blend(image, tf.zeros_like(image), s, p),
    "saturation": lambda image, s, p: _blend(image, _grey(image), s, p),
    "contrast": lambda image, s, p: _blend(image, tf.reduce_mean(_grey(image)), s, p),
    "sharpness": lambda image, s, p: _blend(image, _blur(image), s, p),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}

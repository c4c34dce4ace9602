"""MixUp and CutMix: each image is mixed with another of its batch, and so are their labels.

MixUp: Zhang et al. 2018. CutMix: Yun et al. 2019. The partner of row r is row b - 1 - r; batches
are in random order, so any partner is as good as another.
"""

from __future__ import annotations

from typing import Any

from components.common.backend import tf
from components.train.augmentation.dice import Dice
from components.train.spec import Augment


def mixes(settings: Augment) -> bool:
    """Whether images are mixed at all."""
    return bool(settings.mixup or settings.cutmix)


def mix(pair: Any, partners: Any, settings: Augment, dice: Dice) -> tuple[Any, Any]:
    """Mix images with their partners.

    Args:
        pair: images (b, size_px, size_px, 3) and targets (b, classes).
        partners: the same of the partners.
        settings: alphas of MixUp and CutMix; with both, half the batches get each.
        dice: of this batch.
    """
    (pixels, targets), (other, other_targets) = pair, partners

    def by_mixup() -> tuple[Any, Any]:
        share = dice.beta(60, settings.mixup or 1.0)
        return share * pixels + (1 - share) * other, share

    def by_cutmix() -> tuple[Any, Any]:
        size = pixels.shape[1]
        side = tf.sqrt(1.0 - dice.beta(61, settings.cutmix or 1.0)) * size
        places = tf.range(size, dtype=tf.float32) + 0.5
        rows, columns = (
            tf.abs(places - size * dice.of_batch(number)) < side / 2 for number in (62, 63)
        )
        mask = tf.cast(rows[:, None] & columns[None, :], tf.float32)[None, :, :, None]
        return pixels * (1 - mask) + other * mask, 1 - tf.reduce_mean(mask)

    if settings.mixup and settings.cutmix:
        mixed, share = tf.cond(dice.of_batch(64) < 0.5, by_mixup, by_cutmix)
    else:
        mixed, share = by_mixup() if settings.mixup else by_cutmix()
    return mixed, share * targets + (1 - share) * other_targets

"""Images changed as far as augmentation may change them, to see what becomes of their classes."""

from __future__ import annotations

import math

import numpy as np

from components.common.backend import tf
from components.train.augmentation.colour import apply_factors
from components.train.augmentation.warp import warp
from components.train.spec import Augment

MIRROR, TURN, COLOUR = "mirroring", "turning", "colour"
FEW = 64  # images at a time


def change_most(pixels: np.ndarray, what: str, settings: Augment) -> np.ndarray:
    """Return images with one change at its limit, to one side and to the other in turns.

    Args:
        pixels: uint8 (images, size_px, size_px, 3).
        what: MIRROR, TURN (with the shear) or COLOUR (light, contrast, saturation).
        settings: how far each may go.

    Returns:
        float32 (images, size_px, size_px, 3), 0 to 255.
    """
    if what == MIRROR:
        return pixels[:, :, ::-1].astype(np.float32)
    parts = range(0, len(pixels), FEW)
    change = _turn if what == TURN else _colour
    return np.concatenate([change(pixels[n : n + FEW], settings) for n in parts])


def _turn(pixels: np.ndarray, settings: Augment) -> np.ndarray:
    sides = _sides(len(pixels))
    turn = sides * math.radians(settings.rotation_degrees)
    shear = np.tan(sides * math.radians(settings.shear_degrees))
    cos, sin, still = np.cos(turn), np.sin(turn), np.zeros(len(pixels))
    rows = [[cos, cos * shear - sin, still], [sin, sin * shear + cos, still]]
    matrices = np.transpose(np.array(rows), (2, 0, 1)).astype(np.float32)  # (b, 2, 3)
    return np.asarray(warp(tf.constant(pixels), tf.constant(matrices)))


def _colour(pixels: np.ndarray, settings: Augment) -> np.ndarray:
    factors = (1 + _sides(len(pixels)) * settings.colour).astype(np.float32)
    factor = tf.constant(factors[:, None, None, None])
    return np.asarray(apply_factors(tf.cast(pixels, tf.float32), factor, factor, factor))


def _sides(count: int) -> np.ndarray:
    """Return 1, -1, 1, … (count,)."""
    return 1.0 - 2.0 * (np.arange(count) % 2)

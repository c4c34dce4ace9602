"""RandAugment and TrivialAugment: which change an image gets, and how strong.

The changes and their ranges are those of torchvision; those that move pixels become matrices, so
that they join the one warp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.common.backend import tf
from components.train.augmentation.dice import Dice
from components.train.augmentation.warp import compose

MOVES = ("shear_x", "shear_y", "shift_x", "shift_y", "rotate")
COLOURS = (
    "brightness",
    "saturation",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
NAMES = ("identity", *MOVES, *COLOURS)


@dataclass(frozen=True)
class Policy:
    """How many changes an image gets, how strong, and the greatest strength of each kind."""

    changes: int
    strength: float | None  # share of the greatest; None: any, uniformly
    shear: float
    shift: float  # in units of half the side
    rotate_degrees: float
    colour: float
    posterize_bits: float  # bits taken away


POLICIES = {
    # Cubuk et al. 2020, with magnitude 9 of 30.
    "randaugment": Policy(2, 0.3, 0.3, 2 * 150 / 331, 30.0, 0.9, 4.0),
    # Müller & Hutter 2021, the wide space; 32 pixels are meant for images of 224.
    "trivialaugment": Policy(1, None, 0.99, 2 * 32 / 224, 135.0, 0.99, 6.0),
}


@dataclass(frozen=True)
class Choice:
    """What the images of one batch get."""

    matrices: Any  # float32 (b, 2, 3): all moves of an image together
    kinds: Any  # int (changes, b): position in NAMES
    strengths: Any  # float32 (changes, b), -1 to 1
    policy: Policy


def choose_changes(name: str, dice: Dice) -> Choice | None:
    """Draw the changes of a policy for each image of a batch; None for the policy `none`."""
    if name not in POLICIES:
        return None
    policy = POLICIES[name]
    kinds, strengths = [], []
    matrices = None
    for change in range(policy.changes):
        first = 40 + 4 * change  # draws 40 and on are the policies'
        kind = tf.cast(dice.share(first) * len(NAMES), tf.int32)
        sign = tf.where(dice.share(first + 1) < 0.5, -1.0, 1.0)
        share = dice.share(first + 2) if policy.strength is None else policy.strength
        strength = sign * share
        moved = _move(kind, strength, policy)
        matrices = moved if matrices is None else compose(matrices, moved)
        kinds.append(kind)
        strengths.append(strength)
    assert matrices is not None
    return Choice(matrices, tf.stack(kinds), tf.stack(strengths), policy)


def _move(kind: Any, strength: Any, policy: Policy) -> Any:
    """Return the map (b, 2, 3) of each image; the identity where its change moves nothing."""

    def where(name: str, value: Any) -> Any:
        return tf.where(kind == NAMES.index(name), value, tf.zeros_like(strength))

    angle = where("rotate", strength * policy.rotate_degrees * 3.141592653589793 / 180.0)
    shear_x, shear_y = (where(f"shear_{axis}", strength * policy.shear) for axis in "xy")
    shift_x, shift_y = (where(f"shift_{axis}", strength * policy.shift) for axis in "xy")
    cos, sin = tf.cos(angle), tf.sin(angle)
    row_1 = tf.stack([cos, shear_x - sin, shift_x], axis=1)
    row_2 = tf.stack([shear_y + sin, cos, shift_y], axis=1)
    return tf.stack([row_1, row_2], axis=1)

"""Choose the side of the square images from the sizes of the originals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PHOTO_PX = 224  # what most ImageNet networks were trained at
LEAST_PX = 96  # below, a network that halves five times keeps under 3×3 places to look at
STEP_PX = 32  # these networks halve five times: a multiple of 2⁵ is halved without a rest
ENLARGED = 4  # a network wants larger strokes than a few pixels; beyond, enlarging adds nothing


def choose_size_px(shorter_sides_px: Sequence[int] | np.ndarray) -> int:
    """Return 224 for photos; for tiny originals the least multiple of 32 that is fourfold or more.

    Digits of 8 px become 96 (the least), CIFAR's 32 px become 128, photos 224. Enlarging further
    would cost time in every epoch and add no information.

    Args:
        shorter_sides_px: the shorter side of every image; their median counts.
    """
    wanted = ENLARGED * float(np.median(shorter_sides_px))
    return min(PHOTO_PX, max(LEAST_PX, STEP_PX * int(np.ceil(wanted / STEP_PX))))

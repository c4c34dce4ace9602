"""What each family of networks was fed in pretraining: linear maps of RGB pixels, 0 to 255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """``(pixel - mean) / std`` a channel, in the channel order that the network expects."""

    mean: tuple[float, float, float]  # RGB
    std: tuple[float, float, float]  # RGB
    bgr: bool = False  # the network takes blue first

    def as_convolution(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the same map as a 1×1 convolution: kernel (1, 1, 3, 3), bias (3,)."""
        matrix = np.diag(1.0 / np.array(self.std))  # (in, out)
        bias = -np.array(self.mean) / np.array(self.std)
        if self.bgr:
            matrix, bias = matrix[:, ::-1], bias[::-1]
        return matrix[None, None].astype(np.float32), bias.astype(np.float32)


def create_scaling(mean: Any, std: Any, factor: float) -> Scaling:
    """Return a scaling as a file says it.

    Args:
        mean: three numbers, RGB.
        std: the same, above 0.
        factor: from the file's units to pixels, 0 to 255.

    Raises:
        ValueError: if they are no such numbers.
    """
    both = []
    for name, given in (("mean", mean), ("std", std)):
        is_legal = isinstance(given, list | tuple) and len(given) == 3
        if not is_legal or not all(isinstance(v, int | float) and np.isfinite(v) for v in given):
            raise ValueError(f"{name} of the colours are three numbers, got {given!r}")
        both.append((factor * given[0], factor * given[1], factor * given[2]))
    if min(both[1]) <= 0:
        raise ValueError(f"std of the colours are above 0, got {std!r}")
    return Scaling(both[0], both[1])


# The three ways of keras.applications (imagenet_utils.preprocess_input) …
SYMMETRIC = Scaling((127.5,) * 3, (127.5,) * 3)  # mode "tf": -1 to 1
IMAGENET = Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # mode "torch"
CAFFE = Scaling((123.68, 116.779, 103.939), (1.0,) * 3, bgr=True)  # mode "caffe"
# … that of CLIP and its kin, by the mean of their own photographs …
CLIP = Scaling((122.770938, 116.746013, 104.093736), (68.500533, 66.632158, 70.323163))
# … and that of EfficientNet-Lite: (pixel - 127) / 128, as its publishers quantised it.
LITE = Scaling((127.0,) * 3, (128.0,) * 3)
# EfficientNet B and V2, MobileNetV3 and ConvNeXt scale inside the network: None.

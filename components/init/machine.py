"""What a run has: cores, a GPU or none, minutes; and how long it will take about."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

# EfficientNet-Lite0 at 224 px: some 50 images/s in training on two cores (docs/training.md).
TRAINED_A_SECOND = 50 / 2
CORES_THAT_HELP = 16  # beyond, reading and small matrices leave them waiting
# Passes of `train.recipe: auto`: what 280 steps of 32 see of small sets, eight passes over larger.
LEAST_TRAINED, PASSES = 280 * 32, 8
# Of the time in steps: validation, trials of rates, the probe. The clothing photos, 1,002 to train
# on, take 6 to 8 min in all on two cores, of which 3 min are steps.
AROUND = 1.7
# `preprocess.size_px: auto`: fourfold the originals, between these.
PHOTO_PX, LEAST_PX, ENLARGED = 224, 96, 4
# The other five stages, two cores: starts of programs, robustness and the served check; and what
# each image costs in decoding, sums and shards.
FIXED_SECONDS, IMAGE_SECONDS = 75.0, 0.02


@dataclass(frozen=True)
class Machine:
    """What a run has."""

    cores: int
    gpu: str  # its name; empty: none
    minutes: float | None  # that a run may take; None: no limit

    def estimate_others(self, images: int) -> float:
        """Return minutes of all stages but train."""
        return (FIXED_SECONDS + images * IMAGE_SECONDS * 2 / self._helping) / 60

    def estimate_training(self, images: int, shorter_px: int | None) -> float:
        """Return minutes of train on this machine's cores.

        Args:
            images: to train on.
            shorter_px: shorter side of the originals; tiny ones are trained at a smaller size.
        """
        side = min(PHOTO_PX, max(LEAST_PX, ENLARGED * (shorter_px or PHOTO_PX)))
        seen = max(LEAST_TRAINED, PASSES * images) * (side / PHOTO_PX) ** 2
        return AROUND * seen / (TRAINED_A_SECOND * self._helping) / 60

    @property
    def _helping(self) -> int:
        return min(self.cores, CORES_THAT_HELP)


def find_gpu() -> str:
    """Return the name of the first NVIDIA GPU that the driver shows; empty without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    words = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603
            words, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]

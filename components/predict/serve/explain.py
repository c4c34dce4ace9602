"""Where in a picture the evidence lies: cover a part, and see how far the probability falls.

After Zeiler & Fergus 2014. It asks the network nothing but its answers, so it explains any network,
and what it shows needs no explanation of its own.
"""

from __future__ import annotations

import numpy as np

from components.common.serving.batching import BATCH_SIZE
from components.common.serving.classifier import Classifier

GRID = 9  # places a side
COVER = 2  # places that a cover is wide: neighbours overlap, so that no edge is missed
GREY = 127


def compute_falls(classifier: Classifier, pixels: np.ndarray, label: int) -> np.ndarray:
    """Return how far a class's probability falls where a place is covered.

    Args:
        classifier: a loaded model.
        pixels: as the network sees them, uint8 (size, size, 3).
        label: column of the class.

    Returns:
        float64 (GRID, GRID), 0 to 1: the mean fall under the covers that reach a place; 0 where
        the probability does not fall.
    """
    size = len(pixels)
    edges = np.linspace(0, size, GRID + 1).round().astype(int)
    starts = [(y, x) for y in range(1 - COVER, GRID) for x in range(1 - COVER, GRID)]
    covered = np.repeat(pixels[None], len(starts) + 1, axis=0)  # (covers + 1, size, size, 3)
    for image, (y, x) in zip(covered[1:], starts, strict=True):
        top, left = edges[max(y, 0)], edges[max(x, 0)]
        image[top : edges[min(y + COVER, GRID)], left : edges[min(x + COVER, GRID)]] = GREY
    parts = [covered[start : start + BATCH_SIZE] for start in range(0, len(covered), BATCH_SIZE)]
    found = np.concatenate([classifier.infer(part)[0][:, label] for part in parts])
    falls, counts = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    for (y, x), probability in zip(starts, found[1:], strict=True):
        place = slice(max(y, 0), y + COVER), slice(max(x, 0), x + COVER)
        falls[place] += found[0] - probability
        counts[place] += 1
    return np.clip(falls / counts, 0, 1)

"""Many tests at once: p-values that allow for how many were made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def correct_holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979): step down, never decreasing."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted

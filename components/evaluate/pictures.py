"""The worst mistakes as small pictures inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.common.reports import Predictions

SIDE_PX = 176  # shown at up to 160 px


@dataclass(frozen=True)
class Mistake:
    """A test image that was taken for what it is not."""

    path: str
    actual: str
    predicted: str
    probability: float  # of the predicted class
    probability_of_actual: float


def find_worst_mistakes(predictions: Predictions, most: int) -> list[Mistake]:
    """Return the mistakes of which the model was surest, the surest first."""
    wrong = np.flatnonzero(~predictions.correct)
    order = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:most]
    names = predictions.class_names
    return [
        Mistake(
            path=predictions.paths[i],
            actual=names[predictions.labels[i]],
            predicted=names[predictions.predicted[i]],
            probability=float(predictions.confidence[i]),
            probability_of_actual=float(predictions.probabilities[i, predictions.labels[i]]),
        )
        for i in order
    ]


def encode_pictures(pixels: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return path → data URI of a small JPEG, about 5 kB each.

    Args:
        pixels: path → uint8 (side, side, 3).
    """
    from PIL import Image

    found = {}
    for path, array in pixels.items():
        image = Image.fromarray(array)
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80, optimize=True)
        found[path] = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return found

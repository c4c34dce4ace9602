"""Images of no class: the limit beyond which one is unlike all that the model knows.

The score is the energy of the logits. On clothing with two classes left out it told their photos
best, and it needs nothing but what the network answers anyway; distances between features tell
images of another world (digits among clothes) better, and those of a neighbouring class hardly
(benchmarks/unknown.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.serving.decisions import compute_energy
from components.evaluate.decisions.sets import FOLDS, count_needed, find_limit


def describe_unknown(
    predictions: Predictions, groups: np.ndarray, known_share: float
) -> tuple[float | None, dict[str, Any]]:
    """Return the limit of the energy, None where too few images can promise one, and its effect.

    A new image of the kinds that were tested passes with a chance of `known_share` at least
    (conformal, as :func:`.sets.find_limit`). How many images of no class are caught, no test image
    can say.

    Args:
        predictions: of the test split.
        groups: int64 (images,), the group of each image.
        known_share: share of images of known kinds that shall pass.

    Returns:
        The limit, and figures: `passed` (share of images that had no say in the limit and pass),
        `wrong` and `wrong_beyond` (share of wrong answers among those that pass, and among those
        that do not).
    """
    needed, independent = count_needed(known_share), len(np.unique(groups))
    about: dict[str, Any] = {
        "promised": known_share,
        "groups": independent,
        "groups_needed": needed,
    }
    if independent < needed:
        return None, about
    ease = -compute_energy(predictions.logits)  # high: easy to place
    limit = find_limit(ease, groups, known_share)
    fold = np.unique(groups, return_inverse=True)[1] % FOLDS
    passes = np.ones(len(ease), bool)
    for number in np.unique(fold):
        own = fold == number
        rest = ~own
        if len(np.unique(groups[rest])) >= needed:
            passes[own] = ease[own] >= find_limit(ease[rest], groups[rest], known_share)
    wrong = ~predictions.correct
    about["passed"] = float(passes.mean())
    for name, of in (("wrong", passes), ("wrong_beyond", ~passes)):
        about[name] = float(wrong[of].mean()) if of.any() else None
    return -limit, about

"""Folds for cross-validation: copies and groups stay together, and each class stays known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np


def deal(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each fold the images to fit on and those to judge, as positions.

    No group is in both. A class whose images are all of one group is fitted on and never judged:
    no other image could tell what it looks like. Classes are spread evenly.

    Args:
        labels: (images,), 0, 1, …
        groups: (images,) numbers; images of one number stay together.
        folds: at most so many; fewer where no class has as many groups.
        seed: of the deal.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    pairs = np.unique(np.stack([labels, groups]), axis=1)  # (2, kinds): each class's groups
    counts = np.bincount(pairs[0], minlength=labels.max(initial=0) + 1)
    can = counts[labels] > 1
    judged, alone = np.flatnonzero(can), np.flatnonzero(~can)
    if (counts > 1).sum() < 2:
        return
    number = min(folds, int(counts.max()))
    own = groups[judged]
    # Where no two images are of one group, the deal that knows no groups is quicker.
    grouped = len(np.unique(own)) < len(own)
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # handled here
        dealer = kind(number, shuffle=True, random_state=seed)
        dealt = list(dealer.split(judged, labels[judged], own if grouped else None))
    for others, held in dealt:
        fitted, rows = judged[others], judged[held]
        # A group may hold images of a class that is alone as well: they stay with it.
        apart = alone[~np.isin(groups[alone], groups[rows])]
        fitted = np.concatenate([fitted, apart])
        rows = rows[np.isin(labels[rows], labels[fitted])]
        if len(rows) and len(np.unique(labels[fitted])) > 1:
            yield fitted, rows


def number_groups(names: list[str]) -> np.ndarray:
    """Return a number for each name, equal ones for equal names."""
    return np.asarray(np.unique(np.array(names, object), return_inverse=True)[1])

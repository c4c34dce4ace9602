"""Which test images two models both saw, by content, though their classes may have changed.

An image is the same where its bytes are, and it is of the same class: of the same name, or of one
that was renamed. A class that one model does not know is left out; what either says of the others
counts as it was said, so a challenger that takes old images for a new class pays for it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from components.common.artifacts.predictions import Predictions

MOST_NAMED = 5  # classes, in words


@dataclass(frozen=True)
class Shared:
    """The rows of both for the images that both saw, in one order, with the same class names.

    The first classes are those that both know; behind them stand those of either alone, of which
    no image is.
    """

    ours: Predictions
    theirs: Predictions
    whole: int  # images of classes that both know, of whoever has more
    differences: str  # of the classes, in words that begin with `; `; empty where there are none


def share_images(ours: Predictions, theirs: Predictions) -> Shared:
    """Return what can be compared of two models' predictions."""
    renamed = find_renamed(ours, theirs)
    names = [renamed.get(name, name) for name in theirs.class_names]
    common = [name for name in ours.class_names if name in names]
    added = [name for name in ours.class_names if name not in names]
    gone = [name for name in names if name not in ours.class_names]
    order = common + added + gone
    mine, other = _place(ours, ours.class_names, common), _place(theirs, names, common)
    keys = [key for key in mine if key in other]
    return Shared(
        ours=_arrange(ours, ours.class_names, order, [mine[key] for key in keys]),
        theirs=_arrange(theirs, names, order, [other[key] for key in keys]),
        whole=max(len(mine), len(other)),
        differences=_describe(renamed, added, gone),
    )


def find_renamed(ours: Predictions, theirs: Predictions) -> dict[str, str]:
    """Return the classes that have another name now: the champion's name → the challenger's.

    All images of the one that both saw are of the other, and the other way round.
    """
    new_names = dict(zip(ours.sha256, _name_labels(ours), strict=True))
    became, came_from = defaultdict(set), defaultdict(set)
    for digest, old in zip(theirs.sha256, _name_labels(theirs), strict=True):
        if new := new_names.get(digest):
            became[old].add(new)
            came_from[new].add(old)
    return {
        old: next(iter(new))
        for old, new in became.items()
        if len(new) == 1
        and old not in ours.class_names
        and not new & set(theirs.class_names)
        and came_from[next(iter(new))] == {old}
    }


def _name_labels(found: Predictions) -> list[str]:
    return [found.class_names[label] for label in found.labels]


def _place(found: Predictions, names: list[str], common: list[str]) -> dict[tuple[str, str], int]:
    """Return the row of each image of a common class, by its digest and class."""
    keys = zip(found.sha256, found.labels, strict=True)
    every = {(digest, names[label]): row for row, (digest, label) in enumerate(keys)}
    return {key: row for key, row in every.items() if key[1] in set(common)}


def _arrange(
    found: Predictions, names: list[str], order: list[str], rows: list[int]
) -> Predictions:
    """Return some rows with the classes in an order; those that it does not know have no share."""
    index = np.array(rows, np.int64)
    place = np.array([order.index(name) for name in names], np.int64)

    def spread(values: np.ndarray, fill: float) -> np.ndarray:
        wide = np.full((len(index), len(order)), fill, values.dtype)
        wide[:, place] = values[index]
        return wide

    return replace(
        found,
        class_names=order,
        paths=[found.paths[row] for row in rows],
        sha256=[found.sha256[row] for row in rows],
        labels=place[found.labels[index]],
        logits=spread(found.logits, -np.inf),
        probabilities=spread(found.probabilities, 0.0),
        groups=[found.groups[row] for row in rows] if found.groups else [],
        decided=None if found.decided is None else place[found.decided[index]],
    )


def _describe(renamed: dict[str, str], added: list[str], gone: list[str]) -> str:
    parts = [f"class {old} is called {new} now" for old, new in list(renamed.items())[:MOST_NAMED]]
    if len(renamed) > MOST_NAMED:
        parts.append(f"{len(renamed) - MOST_NAMED} more have other names")
    for names, words in ((added, "the champion does not know"), (gone, "the challenger lacks")):
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{words} {', '.join(names[:MOST_NAMED])}{more}")
    return "".join(f"; {part}" for part in parts)

"""Which pairs of pictures may show the same one, without comparing all with all.

Views are sorted into cells around some of them, and looked for in the nearest cells only (an
inverted file, after Sivic & Zisserman, ICCV 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.validate.copies.orientations import ORIENTATIONS, orient_boxes, orient_frequencies
from components.validate.copies.sketch import (
    BARE,
    CAPTIONED,
    CONTENT,
    WHOLE,
    Sketches,
)

# Cosine of the frequencies of two views. Copies whose cut lies between the views reach 0.92, and
# half of the likeliest pairs of unrelated photographs of one kind of thing 0.9.
MIN_LIKENESS = 0.915
NEAREST_CELLS = 6  # that a view is looked for in
NEAREST_VIEWS = 5  # kept of each cell
PARTNERS = 8  # pictures that are looked at again for each
STARTS = 2  # ways to lay one picture over the other, for each pair
QUESTIONS = 32_768  # views that are looked for at once: all that seek a cell read it once
COMPARED = 2**24  # likenesses in memory at once


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, and how the first may lie over the second."""

    first: np.ndarray  # (pairs,) position of the picture
    second: np.ndarray
    orientation: np.ndarray  # of the first, 0 to 7
    first_box: np.ndarray  # (pairs, 4), in the turned first picture
    second_box: np.ndarray  # what it lies over
    first_content: np.ndarray  # (pairs, 4), what a border surrounds, in the turned first picture
    second_content: np.ndarray
    likeness: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> Pairs:
        """Return some of the pairs."""
        return Pairs(**{name: values[rows] for name, values in vars(self).items()})

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.first)


def find_candidates(sketches: Sketches) -> Pairs:
    """Return the likeliest pairs of pictures, at most PARTNERS × STARTS of each."""
    count, views = sketches.views.shape[:2]
    shown = sketches.views.reshape(count * views, -1)
    rng = np.random.default_rng(0)
    # So many that finding the nearest cells costs about what looking through them does.
    cells = min(len(shown), round(2 * np.sqrt(len(shown))))
    centres = _scale(shown[np.sort(rng.choice(len(shown), cells, replace=False))])
    home = _find_nearest(shown, centres, 1)[:, 0]
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(cells + 1))
    found = [np.zeros((6, 0))]
    for pictures, places, orientation, asked in _iterate_questions(sketches):
        near = _find_nearest(asked, centres, min(NEAREST_CELLS, cells))
        for cell, rows in _group(near):
            members = order[bounds[cell] : bounds[cell + 1]]
            for part in _cut(rows, COMPARED // max(1, len(members))):
                likeness = asked[part] @ _scale(shown[members]).T
                likeness[pictures[part][:, None] == members // views] = -1
                i, j = np.nonzero(_find_best(likeness))
                asker, hits = part[i], members[j]
                second, seen = np.divmod(hits, views)
                ways = (orientation[asker], places[asker], seen, likeness[i, j])
                found.append(np.stack([pictures[asker], second, *ways]))
    return _choose(np.concatenate(found, axis=1), sketches)


def _find_best(likeness: np.ndarray) -> np.ndarray:
    """Return where a row is at least MIN_LIKENESS, and among its NEAREST_VIEWS largest."""
    best = likeness >= MIN_LIKENESS
    crowded = np.flatnonzero(best.sum(axis=1) > NEAREST_VIEWS)
    if len(crowded):
        least = np.partition(likeness[crowded], -NEAREST_VIEWS, axis=1)[:, -NEAREST_VIEWS]
        best[crowded] &= likeness[crowded] >= least[:, None]
    return best


def _group(near: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each cell that is near to something, and the rows that it is near to."""
    order = np.argsort(near, axis=None, kind="stable")
    cells, starts = np.unique(near.ravel()[order], return_index=True)
    yield from zip(cells, np.split(order // near.shape[1], starts[1:]), strict=True)


def _cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Return rows in parts of at most so many; no part where there are none."""
    parts = -(-len(rows) // max(1, size))
    return np.array_split(rows, parts) if parts else []


def _iterate_questions(
    sketches: Sketches,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield views that are looked for: their pictures, views, orientations and frequencies.

    A whole picture in each orientation; without its border too, where it has one; and the views
    without a caption as they are, since of two captioned copies neither is whole.
    """
    everyone = np.arange(len(sketches.views))
    bordered, *captioned = (
        np.flatnonzero((sketches.boxes[:, view] != sketches.boxes[:, WHOLE]).any(axis=1))
        for view in (CONTENT, *BARE)
    )
    turns = np.arange(len(ORIENTATIONS))
    for view, pictures, orientations in (
        (WHOLE, everyone, turns),
        (CONTENT, bordered, turns),
        *((view, pictures, turns[:1]) for view, pictures in zip(BARE, captioned, strict=True)),
        *((view, everyone, turns[:1]) for view in CAPTIONED),
    ):
        for part in _cut(pictures, QUESTIONS // len(orientations)):
            low = orient_frequencies(_scale(sketches.views[part, view]))[:, orientations]
            yield (
                np.repeat(part, len(orientations)),
                np.full(len(part) * len(orientations), view),
                np.tile(orientations, len(part)),
                low.reshape(-1, low.shape[2]),
            )


def _choose(table: np.ndarray, sketches: Sketches) -> Pairs:
    """Return the best ways for each pair, and the best pairs for each picture."""
    table = table[:, np.argsort(-table[5], kind="stable")]
    first, second, orientation, place, seen = table[:5].astype(np.int64)
    low, high = np.minimum(first, second), np.maximum(first, second)
    count = len(sketches.views)
    pair = low * count + high
    keep = _count_before(pair) < STARTS
    # A pair counts once for each of its two pictures, and stays if it is among the best of either.
    _, lead = np.unique(pair, return_index=True)
    lead = np.sort(lead)
    ends = np.concatenate([low[lead], high[lead]])
    turn = np.argsort(np.concatenate([lead, lead]), kind="stable")
    rank = np.empty(len(ends), np.int64)
    rank[turn] = _count_before(ends[turn])
    wanted = pair[lead][(rank < PARTNERS).reshape(2, -1).any(axis=0)]
    keep &= np.isin(pair, wanted)
    first, second, orientation = first[keep], second[keep], orientation[keep]
    boxes = sketches.boxes[first, place[keep]]
    return Pairs(
        first,
        second,
        orientation,
        orient_boxes(boxes, orientation),
        sketches.boxes[second, seen[keep]],
        orient_boxes(sketches.boxes[first, CONTENT], orientation),
        sketches.boxes[second, CONTENT],
        table[5][keep],
    )


def _count_before(values: np.ndarray) -> np.ndarray:
    """Return for each value how many of its like come before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))[: len(values)]
    counts = np.empty(len(values), np.int64)
    sizes = np.diff(np.append(starts, len(values)))
    counts[order] = np.arange(len(values)) - np.repeat(starts, sizes)
    return counts


def _scale(views: np.ndarray) -> np.ndarray:
    """Return frequencies of length 1, or 0 where a view is flat, float32."""
    values = views.astype(np.float32)
    length = np.sqrt(np.square(values).sum(axis=-1, keepdims=True))
    return np.asarray(values / np.maximum(length, 1), np.float32)


def _find_nearest(views: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Return the cells whose centres are most like each view, (views, count), in no order."""
    parts = _cut(np.arange(len(views)), COMPARED // len(centres))
    found = []
    for part in parts:
        likeness = _scale(views[part]) @ centres.T
        if count == 1:
            found.append(likeness.argmax(axis=1)[:, None])
        else:
            found.append(np.argpartition(-likeness, count - 1, axis=1)[:, :count])
    return np.concatenate(found)

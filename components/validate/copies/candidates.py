"""Which pairs of pictures may show the same one, without comparing all with all.

Views are sorted into cells around some of them, and looked for in the nearest cells only (an
inverted file, after Sivic & Zisserman, ICCV 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.validate.copies.orientations import ORIENTATIONS, orient_boxes, orient_frequencies
from components.validate.copies.sketch import CAPTIONED, CONTENT, WHOLE, Sketches

# Cosine of the frequencies of two views. Photographs cut by 5 % at two sides reach 0.9, unrelated
# ones of one kind of thing often 0.85.
MIN_LIKENESS = 0.86
NEAREST_CELLS = 6  # that a view is looked for in
NEAREST_VIEWS = 5  # kept of each cell
PARTNERS = 8  # pictures that are looked at again for each
STARTS = 2  # ways to lay one picture over the other, for each pair
BLOCK = 4096  # rows at a time: bounds memory


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
    cells = max(1, round(np.sqrt(len(shown)) / 2))
    centres = _scale(shown[rng.choice(len(shown), min(cells, len(shown)), replace=False)])
    home = np.concatenate([_find_nearest(block, centres, 1)[:, 0] for block in _iterate(shown)])
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(len(centres) + 1))
    sizes = np.diff(bounds)
    found = []
    for pictures, places, orientation, asked in _iterate_questions(sketches):
        near = _find_nearest(asked, centres, min(NEAREST_CELLS, len(centres)))
        for cell in np.unique(near[sizes[near] > 0]):
            rows = np.flatnonzero((near == cell).any(axis=1))
            members = order[bounds[cell] : bounds[cell + 1]]
            likeness = asked[rows] @ _scale(shown[members]).T
            likeness[pictures[rows][:, None] == members[None, :] // views] = -1
            best = np.argpartition(-likeness, min(NEAREST_VIEWS, len(members)) - 1, axis=1)
            best = best[:, :NEAREST_VIEWS]
            value = np.take_along_axis(likeness, best, axis=1)
            i, j = np.nonzero(value >= MIN_LIKENESS)
            asker, hits = rows[i], members[best[i, j]]
            second, seen = np.divmod(hits, views)
            ways = (orientation[asker], places[asker], seen, value[i, j])
            found.append(np.stack([pictures[asker], second, *ways]))
    table = np.concatenate(found, axis=1) if found else np.zeros((6, 0))
    return _choose(table, sketches)


def _iterate_questions(
    sketches: Sketches,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield views that are looked for: their pictures, views, orientations and frequencies.

    A whole picture in each orientation; without its border too, where it has one; and the views
    without a caption as they are, since of two captioned copies neither is whole.
    """
    everyone = np.arange(len(sketches.views))
    if not len(everyone):
        return
    bordered = np.flatnonzero((sketches.boxes[:, CONTENT] != sketches.boxes[:, WHOLE]).any(axis=1))
    turns = np.arange(len(ORIENTATIONS))
    for view, pictures, orientations in (
        (WHOLE, everyone, turns),
        (CONTENT, bordered, turns),
        *((view, everyone, turns[:1]) for view in CAPTIONED),
    ):
        for part in np.array_split(pictures, max(1, len(pictures) * len(orientations) // BLOCK)):
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


def _iterate(views: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(views), BLOCK):
        yield _scale(views[start : start + BLOCK])


def _scale(views: np.ndarray) -> np.ndarray:
    """Return frequencies of length 1, or 0 where a view is flat, float32."""
    values = views.astype(np.float32)
    length = np.sqrt(np.square(values).sum(axis=-1, keepdims=True))
    return np.asarray(values / np.maximum(length, 1), np.float32)


def _find_nearest(views: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    return np.argpartition(-(views @ centres.T), count - 1, axis=1)[:, :count]

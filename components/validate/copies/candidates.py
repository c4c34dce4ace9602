"""Which pairs of pictures may show the same one, without comparing all with all.

Views are sorted into cells around some of them, and looked for in the nearest cells only (an
inverted file, after Sivic & Zisserman, ICCV 2003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from components.common.host import count_cores, limit_blas
from components.validate.copies.orientations import ORIENTATIONS, orient_boxes, orient_frequencies
from components.validate.copies.sketch import BARE, CAPTIONED, CONTENT, VIEWS, WHOLE
from components.validate.copies.sketchbook import Sketches

# Cosine of the frequencies of two views. Copies whose cut lies between the views reach 0.92, and
# half of the likeliest pairs of unrelated photographs of one kind of thing 0.9.
MIN_LIKENESS = 0.915
NEAREST_CELLS = 6  # that a view is looked for in
NEAREST_VIEWS = 5  # kept of each cell
PARTNERS = 8  # pictures that are looked at again for each
STARTS = 2  # ways to lay one picture over the other, for each pair
QUESTIONS = 32_768  # views that are looked for at once: all that seek a cell read it once
COMPARED = 2**24  # likenesses in memory at once, of each thread
SORTED = 2**20  # likenesses to cells at once: so many stay in a core's cache
SHARES = 4  # of the work that each thread takes, so that all end at about the same time
MOST_FOUND = 2**22  # finds in memory: 200 MB


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


@dataclass(frozen=True)
class Cells:
    """Views of all pictures, sorted into cells."""

    centres: np.ndarray  # float32 (cells, 64)
    order: np.ndarray  # picture × VIEWS + view, cell by cell
    bounds: np.ndarray  # (cells + 1,) where each begins and ends in `order`


def find_candidates(sketches: Sketches) -> Pairs:
    """Return the likeliest pairs of pictures, at most PARTNERS × STARTS of each."""
    table = np.zeros((6, 0))
    # Threads of ours, each with all of its work, not BLAS's, which would meet after each product.
    with limit_blas(0), ThreadPoolExecutor(count_cores()) as threads:
        cells = _sort_views(threads, sketches)
        for question in _iterate_questions(sketches):
            near = _find_nearest(threads, question.low, cells.centres, NEAREST_CELLS)
            visits = list(_group(near))
            share = -(-len(visits) // (SHARES * count_cores()))
            shares = [visits[start : start + share] for start in range(0, len(visits), share)]
            found = threads.map(partial(_look_through, sketches, cells, question), shares)
            table = np.concatenate([table, *chain.from_iterable(found)], axis=1)
            if table.shape[1] > MOST_FOUND:
                table = table[:, _choose(table, len(sketches))]
    return _describe(table[:, _choose(table, len(sketches))], sketches)


def _sort_views(threads: ThreadPoolExecutor, sketches: Sketches) -> Cells:
    """Sort the views of all pictures into cells around some of them."""
    count = len(sketches) * VIEWS
    # So many that finding the nearest cells costs about what looking through them does.
    number = min(count, round(2 * np.sqrt(count)))
    chosen = np.sort(np.random.default_rng(0).choice(count, number, replace=False))
    centres = _scale(sketches.get_views(*np.divmod(chosen, VIEWS)))

    def find_home(pictures: np.ndarray) -> np.ndarray:
        views = _scale(sketches.get_views(pictures, slice(None)).reshape(-1, centres.shape[1]))
        return np.asarray((views @ centres.T).argmax(axis=1).astype(np.int32))

    parts = _cut(np.arange(len(sketches)), SORTED // (number * VIEWS))
    home = np.concatenate(list(threads.map(find_home, parts)))
    order = np.argsort(home, kind="stable")
    return Cells(centres, order, np.searchsorted(home[order], np.arange(number + 1)))


def _look_through(
    sketches: Sketches, cells: Cells, question: Question, visits: Sequence[tuple[int, np.ndarray]]
) -> list[np.ndarray]:
    """Return what is found of a question's rows in the cells that they are near to, (6, finds)."""
    found = []
    for cell, rows in visits:
        members = cells.order[cells.bounds[cell] : cells.bounds[cell + 1]]
        pictures, seen = np.divmod(members, VIEWS)
        views = _scale(sketches.get_views(pictures, seen)).T
        for part in _cut(rows, COMPARED // max(1, len(members))):
            likeness = question.low[part] @ views
            likeness[question.pictures[part][:, None] == pictures] = -1
            i, j = np.divmod(np.flatnonzero(_find_best(likeness)), len(members))
            if not len(i):
                continue
            asker = part[i]
            ways = (question.orientations[asker], np.full(len(asker), question.view), seen[j])
            ends = (question.pictures[asker], pictures[j])
            found.append(np.stack([*ends, *ways, likeness[i, j]], dtype=np.float64))
    return found


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


@dataclass(frozen=True)
class Question:
    """Views of one kind that are looked for, a row each."""

    view: int  # of the picture
    pictures: np.ndarray  # (rows,)
    orientations: np.ndarray  # (rows,)
    low: np.ndarray  # float32 (rows, 64)


def _iterate_questions(sketches: Sketches) -> Iterator[Question]:
    """Yield all that is looked for.

    A whole picture in each orientation; without its border too, where it has one; and the views
    without a caption as they are, since of two captioned copies neither is whole.
    """
    everyone = np.arange(len(sketches))
    bordered, *captioned = (
        np.flatnonzero((sketches.get_boxes(everyone, view) != (0, 0, 1, 1)).any(axis=1))
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
            low = orient_frequencies(_scale(sketches.get_views(part, view)))[:, orientations]
            yield Question(
                view,
                np.repeat(part, len(orientations)),
                np.tile(orientations, len(part)),
                low.reshape(-1, low.shape[2]),
            )


def _choose(table: np.ndarray, count: int) -> np.ndarray:
    """Return which finds are the best ways for each pair, and the best pairs for each picture.

    Args:
        table: of finds: first, second, orientation, view, view seen, likeness; (6, finds).
        count: of pictures.

    Returns:
        Columns of the table, the likest first.
    """
    best = np.argsort(-table[5], kind="stable")
    first, second = table[:2, best].astype(np.int64)
    low, high = np.minimum(first, second), np.maximum(first, second)
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
    return np.asarray(best[keep & np.isin(pair, wanted)])


def _describe(table: np.ndarray, sketches: Sketches) -> Pairs:
    """Return the pairs of the finds of a table."""
    first, second, orientation, place, seen = table[:5].astype(np.int64)
    return Pairs(
        first,
        second,
        orientation,
        orient_boxes(sketches.get_boxes(first, place), orientation),
        sketches.get_boxes(second, seen),
        orient_boxes(sketches.get_boxes(first, CONTENT), orientation),
        sketches.get_boxes(second, CONTENT),
        table[5],
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


def _find_nearest(
    threads: ThreadPoolExecutor, views: np.ndarray, centres: np.ndarray, count: int
) -> np.ndarray:
    """Return the cells whose centres are most like each view, (views, count), the likest first.

    Args:
        threads: that share the work.
        views: float32 (views, 64).
        centres: float32 (cells, 64).
        count: of cells, or all where there are fewer.
    """

    def find(part: np.ndarray) -> np.ndarray:
        likeness = views[part] @ centres.T
        found = np.empty((len(part), min(count, len(centres))), np.int64)
        for rank in range(found.shape[1]):  # so many maxima take a tenth of what a partition takes
            found[:, rank] = likeness.argmax(axis=1)
            likeness[np.arange(len(part)), found[:, rank]] = -2
        return found

    parts = _cut(np.arange(len(views)), SORTED // len(centres))
    return np.concatenate(list(threads.map(find, parts)))

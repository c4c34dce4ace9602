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
from components.common.terminal import bar
from components.validate.copies.orientations import ORIENTATIONS, orient_boxes, orient_frequencies
from components.validate.copies.sketch import BARE, CAPTIONED, CONTENT, VIEWS, WHOLE
from components.validate.copies.sketchbook import Sketches

# Cosine of the frequencies of two views. Copies whose cut lies between the views reach 0.92, and
# half of the likeliest pairs of unrelated photographs of one kind of thing 0.9.
MIN_LIKENESS = 0.915
NEAREST_CELLS = 6  # that a view is looked for in
NEAREST_VIEWS = 5  # kept of each cell
PARTNERS = 8  # pictures that are looked at again for each
STARTS = 3  # ways to lay one picture over the other, for each pair
QUESTIONS = 32_768  # views that are looked for at once: all that seek a cell read it once
COMPARED = 2**24  # likenesses in memory at once, of each thread
SORTED = 2**20  # likenesses to cells at once: so many stay in a core's cache
SHARES = 16  # of the work, so that all threads end at about the same time
MOST_FOUND = 2**22  # finds in memory: 63 MB; more only where so many are worth a look
# A find: which picture, turned how, with which of its views, is like which view of which other one.
FIND = np.dtype(
    [
        ("first", np.int32),
        ("second", np.int32),
        ("orientation", np.int8),
        ("view", np.int8),
        ("seen", np.int8),
        ("likeness", np.float32),
    ]
)


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

    @classmethod
    def join(cls, parts: Sequence[Pairs]) -> Pairs:
        """Return the pairs of all parts, one after the other."""
        return cls(*(np.concatenate(values) for values in zip(*map(_list, parts), strict=True)))


def _list(pairs: Pairs) -> list[np.ndarray]:
    return list(vars(pairs).values())


@dataclass(frozen=True)
class Cells:
    """Views of all pictures, sorted into cells."""

    centres: np.ndarray  # float32 (cells, 64)
    pictures: np.ndarray  # of the views, cell by cell
    views: np.ndarray  # likewise
    bounds: np.ndarray  # (cells + 1,) where each begins and ends


def find_candidates(sketches: Sketches) -> np.ndarray:
    """Return the likeliest pairs of pictures, at most PARTNERS × STARTS of each.

    Returns:
        (pairs,) of FIND, the likest first; to be described, some at a time, by :func:`describe`.
    """
    table, asked, chosen = np.zeros(0, FIND), _list_questions(sketches), 0
    count = sum(len(pictures) * len(turns) for _, pictures, turns in asked)
    # Threads of ours, each with all of its work, not BLAS's, which would meet after each product.
    with (
        limit_blas(0),
        ThreadPoolExecutor(count_cores()) as threads,
        bar("seeking copies", "views", count) as progress,
    ):
        cells = _sort_views(threads, sketches)
        for question in _draw_questions(sketches, asked):
            near = _find_nearest(threads, question.low, cells.centres, NEAREST_CELLS)
            visits = list(_group(near))
            shares = [visits[part] for part in _cut(len(visits), len(visits) // SHARES + 1)]
            found = threads.map(partial(_look_through, sketches, cells, question), shares)
            table = np.concatenate([table, *chain.from_iterable(found)])
            if len(table) > max(MOST_FOUND, 2 * chosen):
                table = table[_choose(table, len(sketches))]
                chosen = len(table)
            progress.update(len(question.low))
    return np.asarray(table[_choose(table, len(sketches))])


def _sort_views(threads: ThreadPoolExecutor, sketches: Sketches) -> Cells:
    """Sort the views of all pictures into cells around some of them."""
    count = len(sketches) * VIEWS
    # So many that finding the nearest cells costs about what looking through them does.
    number = min(count, round(2 * np.sqrt(count)))
    chosen = np.sort(np.random.default_rng(0).choice(count, number, replace=False))
    centres = _scale(sketches.get_views(*np.divmod(chosen, VIEWS)))

    def find_home(part: slice) -> np.ndarray:
        views = sketches.get_views(np.arange(len(sketches))[part], slice(None))
        likeness = _scale(views.reshape(-1, centres.shape[1])) @ centres.T
        return np.asarray(likeness.argmax(axis=1), np.int32)

    parts = _cut(len(sketches), SORTED // (number * VIEWS))
    home = np.concatenate(list(threads.map(find_home, parts)))
    order = np.argsort(home, kind="stable")
    bounds = np.append(0, np.cumsum(np.bincount(home, minlength=number)))
    del home
    pictures, views = np.empty(len(order), np.int32), np.empty(len(order), np.int8)
    np.floor_divide(order, VIEWS, out=pictures, casting="unsafe")
    np.remainder(order, VIEWS, out=views, casting="unsafe")
    return Cells(centres, pictures, views, bounds)


def _look_through(
    sketches: Sketches, cells: Cells, question: Question, visits: Sequence[tuple[int, np.ndarray]]
) -> list[np.ndarray]:
    """Return what is found of a question's rows in the cells that they are near to, of FIND."""
    found = []
    for cell, rows in visits:
        inside = slice(cells.bounds[cell], cells.bounds[cell + 1])
        pictures, seen = cells.pictures[inside], cells.views[inside]
        views = _scale(sketches.get_views(pictures, seen)).T
        for part in _cut(len(rows), COMPARED // max(1, len(pictures))):
            asked = rows[part]
            ours = question.pictures[asked]
            i, j, likeness = _find_best(question.low[asked] @ views, ours, pictures)
            if len(i):
                one = np.empty(len(i), FIND)
                one["first"], one["second"], one["likeness"] = ours[i], pictures[j], likeness
                one["orientation"] = question.orientations[asked[i]]
                one["view"], one["seen"] = question.view, seen[j]
                found.append(one)
    return found


def _find_best(
    likeness: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and values of the NEAREST_VIEWS largest likenesses of each row.

    Only those that reach MIN_LIKENESS, and of two pictures.

    Args:
        likeness: (rows, columns).
        first: (rows,), the picture of each.
        second: (columns,), likewise.
    """
    i, j = np.divmod(np.flatnonzero(likeness >= MIN_LIKENESS), len(second))
    others = np.flatnonzero(first[i] != second[j])
    i, j = i[others], j[others]
    values = likeness[i, j]
    counts = np.bincount(i, minlength=len(first))
    crowded = np.flatnonzero(counts > NEAREST_VIEWS)
    if len(crowded):
        ordered = values[np.lexsort((-values, i))]
        least = np.full(len(first), -1, ordered.dtype)
        least[crowded] = ordered[(np.cumsum(counts) - counts)[crowded] + NEAREST_VIEWS - 1]
        best = values >= least[i]
        i, j, values = i[best], j[best], values[best]
    return i, j, values


def _group(near: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each cell that is near to something, and the rows that it is near to."""
    order = np.argsort(near, axis=None, kind="stable")
    cells, starts = np.unique(near.ravel()[order], return_index=True)
    yield from zip(cells, np.split(order // near.shape[1], starts[1:]), strict=True)


def _cut(count: int, size: int) -> list[slice]:
    """Return so many in parts of at most a size, at least 1 each; no part where there are none."""
    size = max(1, size)
    return [slice(start, start + size) for start in range(0, count, size)]


@dataclass(frozen=True)
class Question:
    """Views of one kind that are looked for, a row each."""

    view: int  # of the picture
    pictures: np.ndarray  # (rows,)
    orientations: np.ndarray  # (rows,)
    low: np.ndarray  # float32 (rows, 64)


def _list_questions(sketches: Sketches) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return all that is looked for: a view, of which pictures, in which orientations.

    A whole picture in each orientation; without its border too, where it has one; and the views
    without a caption as they are, since of two captioned copies neither is whole.
    """
    everyone = np.arange(len(sketches))
    bordered, *captioned = (
        np.flatnonzero((sketches.get_boxes(everyone, view) != (0, 0, 1, 1)).any(axis=1))
        for view in (CONTENT, *BARE)
    )
    turns = np.arange(len(ORIENTATIONS))
    return [
        (WHOLE, everyone, turns),
        (CONTENT, bordered, turns),
        *((view, pictures, turns[:1]) for view, pictures in zip(BARE, captioned, strict=True)),
        *((view, everyone, turns[:1]) for view in CAPTIONED),
    ]


def _draw_questions(
    sketches: Sketches, asked: list[tuple[int, np.ndarray, np.ndarray]]
) -> Iterator[Question]:
    """Yield what is looked for, so much at once as memory should hold."""
    for view, pictures, turns in asked:
        for rows in _cut(len(pictures), QUESTIONS // len(turns)):
            part = pictures[rows]
            low = orient_frequencies(_scale(sketches.get_views(part, view)))[:, turns]
            yield Question(
                view,
                np.repeat(part, len(turns)),
                np.tile(turns, len(part)),
                low.reshape(-1, low.shape[2]),
            )


def _choose(table: np.ndarray, count: int) -> np.ndarray:
    """Return which finds are the best ways for each pair, and the best pairs for each picture.

    Args:
        table: of finds, of FIND.
        count: of pictures.

    Returns:
        Rows of the table, the likest first.
    """
    best = np.argsort(-table["likeness"], kind="stable").astype(np.int32)
    ends = np.stack([table["first"][best], table["second"][best]])
    pair = ends.min(axis=0).astype(np.int64) * count + ends.max(axis=0)
    del ends
    before = _count_before(pair)
    keep = before < STARTS
    # A pair counts once for each of its two pictures, and stays if it is among the best of either.
    lead = pair[before == 0]
    del before
    ends = np.stack(np.divmod(lead, count), axis=1).astype(np.int32)
    rank = _count_before(ends.ravel()).reshape(-1, 2)
    wanted = lead[(rank < PARTNERS).any(axis=1)]
    return np.asarray(best[keep & np.isin(pair, wanted)])


def describe(table: np.ndarray, sketches: Sketches) -> Pairs:
    """Return the pairs of some of what :func:`find_candidates` has found."""
    names = ("first", "second", "orientation", "view", "seen")
    first, second, orientation, place, seen = (table[name].astype(np.int64) for name in names)
    return Pairs(
        first,
        second,
        orientation,
        orient_boxes(sketches.get_boxes(first, place), orientation),
        sketches.get_boxes(second, seen),
        orient_boxes(sketches.get_boxes(first, CONTENT), orientation),
        sketches.get_boxes(second, CONTENT),
        table["likeness"].astype(np.float64),
    )


def _count_before(values: np.ndarray) -> np.ndarray:
    """Return for each value how many of its like come before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))[: len(values)]
    counts = np.empty(len(values), np.int32)
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

    def find(part: slice) -> np.ndarray:
        likeness = views[part] @ centres.T
        found = np.empty((len(likeness), min(count, len(centres))), np.int64)
        for rank in range(found.shape[1]):  # so many maxima take a tenth of what a partition takes
            found[:, rank] = likeness.argmax(axis=1)
            likeness[np.arange(len(found)), found[:, rank]] = -2
        return found

    parts = _cut(len(views), SORTED // len(centres))
    return np.concatenate(list(threads.map(find, parts)))

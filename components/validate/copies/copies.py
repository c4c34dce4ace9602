"""Which usable images show the same picture: the same bytes, or a changed copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.host import can_share_work, count_cores, end_with_parent
from components.common.images.listing import Images, open_images
from components.common.terminal import bar
from components.validate.copies.candidates import Pairs, describe, find_candidates
from components.validate.copies.compared import Compared, name_pairs
from components.validate.copies.exports import link_exports
from components.validate.copies.judging import (
    Likeness,
    align_thumbnails,
    are_copies,
    are_equal,
    compare,
    may_be_copies,
)
from components.validate.copies.pixels import read_picture, stack_pictures, were_read
from components.validate.copies.sketchbook import Sketchbook, Sketches

if TYPE_CHECKING:
    import pandas as pd

# More copies of one picture than this, and than a hundredth of the images, are rather many pictures
# of like things, such as parts before the same background: only equal pixels tell copies then.
MANY = 20
AT_ONCE = 256  # pairs whose thumbnails are compared at once
BLOCK = 8192  # pairs whose pictures are in memory at once: at most 300 MB
CLOSE = 32  # of them that are compared at once: so many stay in a core's cache
READ = 16  # pictures that a process reads at once


def find_pictures(
    folder: Path,
    images: pd.DataFrame,
    book: Sketchbook,
    compared: Compared | None = None,
) -> np.ndarray:
    """Return the image that names the picture of each: that of the least sha256 of its copies.

    Copies are files of the same bytes, files that a program made of one photo, as their names say,
    and pictures that a second look finds to be the same.

    Args:
        folder: of the images, or a listing of them.
        images: rows of the manifest that are usable; their index says which page of the book is
            whose.
        book: of all files; a page is empty where a picture is too small or too flat to be told from
            others.
        compared: pairs that need not be compared again; it receives the others.

    Returns:
        Positions (images,); copies share one, and copies of copies.
    """
    content, names = _rank_contents(images["sha256"])
    links = content[np.array(link_exports(images["path"]), np.int64)]
    known = np.flatnonzero(book.drawn[images.index])
    _, first = np.unique(content[known], return_index=True)
    shown = known[np.sort(first)]  # one file of each content
    if len(shown) > 1:
        rows = images.iloc[shown]
        pairs, equal = _find_copies(
            folder,
            rows,
            Sketches(book.open(), rows.index.to_numpy(), _list_sizes(rows)),
            compared,
        )
        ends = content[shown][np.stack([pairs.first, pairs.second])]
        group = _join(ends, len(names))
        many = np.bincount(group)[group[ends[0]]] > max(MANY, len(images) / 100)
        links = np.concatenate([links, ends[:, ~many | equal]], axis=1)
    group = _join(links, len(names))
    least = np.full(int(group.max(initial=0)) + 1, len(names))
    np.minimum.at(least, group, np.arange(len(names)))  # names are sorted
    return np.asarray(names[least[group]][content])


def _rank_contents(digests: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each digest among the different ones, and the first image of each rank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ranks = pc.rank(pa.array(digests), "ascending", tiebreaker="dense").to_numpy()
    content = ranks.astype(np.int64) - 1
    first = np.zeros(int(content.max(initial=-1)) + 1, np.int64)
    first[content[::-1]] = np.arange(len(content))[::-1]  # of equal ones the last written stays
    return content, first


def _find_copies(
    folder: Path, images: pd.DataFrame, sketches: Sketches, compared: Compared | None
) -> tuple[Pairs, np.ndarray]:
    """Return pairs of copies, and of which the pixels are all but equal."""
    pairs, starts = _lay_over(sketches)
    if not len(pairs):
        return pairs, np.zeros(0, bool)
    max_pixels = int((images["width_px"] * images["height_px"]).max())
    paths, digests = (images[name].reset_index(drop=True) for name in ("path", "sha256"))

    def look(rows: np.ndarray | slice) -> tuple[Likeness, np.ndarray]:
        with _reading(folder, max_pixels) as read:
            return _compare_all(read, paths, pairs[rows], starts[rows])

    if compared is None:  # nobody asks later: the pairs need no names
        likeness = look(slice(None))[0]
    else:
        likeness = compared.complete(_name_all(digests, pairs), look)
    copies = np.flatnonzero(are_copies(likeness))
    pairs, likeness = pairs[copies], likeness[copies]
    return pairs, are_equal(likeness, _find_usual(pairs, 1 - likeness.low))


def _name_all(digests: pd.Series, pairs: Pairs) -> list[bytes]:
    """Return the names of pairs; the digests of a few pictures are in memory at a time."""
    names = []
    for part in _cut(len(pairs), BLOCK):
        needed = np.unique([pairs[part].first, pairs[part].second])
        names += name_pairs(dict(zip(needed.tolist(), digests[needed], strict=True)), pairs[part])
    return names


def _lay_over(sketches: Sketches) -> tuple[Pairs, np.ndarray]:
    """Return pairs that may be copies, sorted, and the maps that lay their thumbnails together."""
    table = find_candidates(sketches)
    found = [(describe(table[:0], sketches), np.zeros((0, 2, 3), np.float32))]

    def lay(part: slice) -> tuple[Pairs, np.ndarray]:
        pairs = describe(table[part], sketches)
        maps, fits = align_thumbnails(sketches.get_thumbnails, pairs)
        likely = np.flatnonzero(may_be_copies(fits))
        return pairs[likely], maps[likely]

    count = len(table)
    with (
        ThreadPoolExecutor(count_cores()) as threads,
        bar("laying over", "pairs", count) as progress,
    ):
        for one in threads.map(lay, _cut(count, AT_ONCE)):
            found.append(one)
            progress.update(min(AT_ONCE, count - progress.n))
    pairs = Pairs.join([own for own, _ in found])
    order = np.argsort(pairs.first, kind="stable")
    return pairs[order], np.concatenate([maps for _, maps in found])[order]


def _compare_all(
    read: Callable[[list[str]], Iterable[Any]], paths: pd.Series, pairs: Pairs, maps: np.ndarray
) -> tuple[Likeness, np.ndarray]:
    """Return how alike pairs are, and of which both pictures could be read."""
    whole = np.zeros(len(pairs), bool)
    seen = [Likeness(*(np.zeros(0) for _ in fields(Likeness)))]
    with (
        ThreadPoolExecutor(count_cores()) as threads,
        bar("comparing", "pairs", len(pairs)) as progress,
    ):
        for part in _cut(len(pairs), BLOCK):
            block = pairs[part]
            needed, place = np.unique([block.first, block.second], return_inverse=True)
            luma, chroma = stack_pictures(read(list(paths[needed])))
            first, second = place.reshape(2, -1)
            whole[part] = were_read(luma)[first] & were_read(luma)[second]
            here = Pairs(**{**vars(block), "first": first, "second": second})
            look = partial(_compare_part, luma, chroma, here, maps[part])
            for likeness in threads.map(look, _cut(len(here), CLOSE)):
                seen.append(likeness)
                progress.update(len(likeness.low))
    return Likeness.join(seen), whole


def _read_pictures(
    images: Images, paths: list[str], max_pixels: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    with images.bringing() as folder:
        return [read_picture(folder / path, max_pixels) for path in paths]


def _find_usual(pairs: Pairs, missed: np.ndarray) -> np.ndarray:
    """Return for each pair what its two pictures usually miss, the larger of their medians."""
    import pandas as pd

    ends = pd.Series(np.concatenate([pairs.first, pairs.second]))
    medians = pd.Series(np.tile(missed, 2)).groupby(ends).transform("median").to_numpy()
    return np.asarray(medians.reshape(2, -1).max(axis=0))


@contextmanager
def _reading(folder: Path, max_pixels: int) -> Iterator[Callable[[list[str]], Iterable[Any]]]:
    """Yield what reads pictures: on all cores, or where they cannot share work, on one."""
    read = partial(_read_pictures, max_pixels=max_pixels)
    if not can_share_work():
        yield partial(_read_in_parts, map, read, folder)
        return
    with ProcessPoolExecutor(count_cores(), None, end_with_parent, (os.getpid(),)) as pool:
        yield partial(_read_in_parts, pool.map, read, folder)


def _read_in_parts(
    run: Callable[..., Iterable[Any]], read: Callable[..., Any], folder: Path, paths: list[str]
) -> Iterable[Any]:
    images = open_images(folder, paths)
    parts = [paths[part] for part in _cut(len(paths), READ)]
    return chain.from_iterable(run(read, [images.pick(part) for part in parts], parts))


def _compare_part(
    luma: np.ndarray, chroma: np.ndarray, pairs: Pairs, maps: np.ndarray, part: slice
) -> Likeness:
    return compare(luma, chroma, pairs[part], maps[part])


def _list_sizes(rows: pd.DataFrame) -> np.ndarray:
    """Return width and height of images as they are seen, (images, 2)."""
    sizes = np.array(rows[["width_px", "height_px"]], np.int64)
    turned = (rows["exif_orientation"] >= 5).to_numpy()  # EXIF: these lie on their side
    sizes[turned] = sizes[turned][:, ::-1]
    return sizes


def _join(ends: np.ndarray, count: int) -> np.ndarray:
    """Return the number of each node's group, (count,); pairs (2, pairs) join theirs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(ends.shape[1], np.int8), tuple(ends)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)


def _cut(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)

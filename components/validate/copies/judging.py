"""Decide by their pixels whether two pictures that lie over each other are one.

Copies agree in their local structure, block by block, wherever nothing was written over it; other
pictures of the same kind of thing do not, however alike their outlines are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from components.validate.copies.alignment import (
    WHOLE,
    align,
    create_grid,
    find_inside,
    map_boxes,
    sample,
    sample_grid,
)
from components.validate.copies.candidates import Pairs
from components.validate.copies.orientations import orient_pixels

SIDE = 64  # points along each side that are compared
BLOCKS = 8  # along each side
STRUCTURE = 3.0  # deviation of luma, of 255, around its local mean: less is flat, and says nothing
LEAST_STRUCTURE = 2.0  # in a smooth picture: loss leaves about 1
LEAST_BLOCKS = 8  # with structure
COVERED = 0.5  # correlation of a block below which it shows something else
COLOURFUL = 10.0  # chroma, of 255, that tells a colour from grey
GREY = 3.0  # chroma that no point of a picture without colours has
SAME_LIGHT = 4.0  # mean difference of luma, of 255, that loss and rounding explain
DIFFERENT = 0.6  # distance of two colours by the stronger of them
# What copies reach and others do not; benchmarks/copies.py shows how well that tells them apart.
ROUGH_FIT = 0.75  # of thumbnails at the first, rough look, half of the blocks
FIT, BOTH_FIT = 0.75, 1.35  # at the finer one; with what four of five reach
MIDDLE, BOTH = 0.88, 1.76  # of the pictures, likewise
# Of many like pictures a copy misses full correlation by little: surely one if by 0.002, none if by
# 0.0065, and between these it must be a small part of what its like usually miss.
SURELY_EQUAL, HARDLY_EQUAL, PART = 0.002, 0.0065, 0.13
OTHER_COLOURS = 0.25


@dataclass(frozen=True)
class Likeness:
    """How alike pairs are, (pairs,) each; NaN where nothing can be told."""

    low: np.ndarray  # correlation of structure that four of five blocks reach
    middle: np.ndarray  # that half of them reach
    recoloured: np.ndarray  # share of the colourful points that have another colour; 0: not asked

    def __getitem__(self, rows: np.ndarray) -> Likeness:
        """Return that of some of the pairs."""
        return Likeness(*(values[rows] for values in astuple(self)))

    @classmethod
    def join(cls, parts: Sequence[Likeness]) -> Likeness:
        """Return the likeness of the pairs of all parts, one after the other."""
        return cls(*(np.concatenate(values) for values in zip(*map(astuple, parts), strict=True)))


def may_be_copies(fit: np.ndarray) -> np.ndarray:
    """Return which pairs are worth a closer look, by how well their thumbnails fit, (2, pairs)."""
    low, middle = fit
    return np.asarray((middle >= FIT) & (low + middle >= BOTH_FIT) | np.isnan(middle))


def are_copies(likeness: Likeness) -> np.ndarray:
    """Return which pairs show the same picture."""
    alike = _have_same_structure(likeness.low, likeness.middle)
    return np.asarray(alike & (likeness.recoloured <= OTHER_COLOURS))


def _have_same_structure(low: np.ndarray, middle: np.ndarray) -> np.ndarray:
    return np.asarray((middle >= MIDDLE) & (low + middle >= BOTH))


def are_equal(likeness: Likeness, usual: np.ndarray) -> np.ndarray:
    """Return which pairs show the same pixels, but for loss: no two photographs of like things.

    Args:
        likeness: of pairs.
        usual: (pairs,) by how much pictures like these miss full correlation of `low`.
    """
    limit = np.clip(PART * usual, SURELY_EQUAL, HARDLY_EQUAL)
    return np.asarray((1 - likeness.low <= limit) & (1 - likeness.middle <= limit))


def align_thumbnails(
    get_thumbnails: Callable[[np.ndarray], np.ndarray], pairs: Pairs
) -> tuple[np.ndarray, np.ndarray]:
    """Return affine maps of pairs (pairs, 2, 3) and how well they fit, (2, pairs), -1 to 1.

    Args:
        get_thumbnails: returns those of pictures, uint8 (pictures, side, side).
        pairs: of these pictures.
    """
    first = orient_pixels(get_thumbnails(pairs.first), pairs.orientation)
    second = get_thumbnails(pairs.second)
    side = first.shape[1]
    maps = map_boxes(pairs.first_box, pairs.second_box)
    # A rough look first, at a third of the work: most pairs are not even nearly alike.
    maps = align(first, second, pairs.first_box, maps, points=side // 4, steps=2)
    fit = _fit_thumbnails(first, second, pairs, maps, points=side // 2, size=3)
    near = np.flatnonzero(~(fit[1] < ROUGH_FIT))
    if len(near):
        first, second, closer = first[near], second[near], pairs[near]
        boxes = closer.first_box
        maps[near] = align(first, second, boxes, maps[near], points=side // 2, steps=4)
        fit[:, near] = _fit_thumbnails(first, second, closer, maps[near], points=side, size=5)
    return maps, fit


def _fit_thumbnails(
    first: np.ndarray, second: np.ndarray, pairs: Pairs, maps: np.ndarray, *, points: int, size: int
) -> np.ndarray:
    """Return how well thumbnails fit, at so many points along a side; of :func:`_summarise`."""
    places = create_grid(points) @ maps.transpose(0, 2, 1)
    shape = (len(pairs), points, points)
    ours = sample_grid(first, points).reshape(shape)
    theirs = sample(second, places).reshape(shape)
    inside = _find_shared(pairs, places, 1)
    fit = _correlate(_sharpen(ours, size), _sharpen(theirs, size), inside, 4)
    return _summarise(fit, 1, 3)


def compare(luma: np.ndarray, chroma: np.ndarray, pairs: Pairs, maps: np.ndarray) -> Likeness:
    """Return how alike pairs of pictures are.

    Args:
        luma: uint8 (pictures, pixels, pixels), slightly smoothed.
        chroma: int8 (pictures, 2, fewer, fewer), Cb and Cr around 0.
        pairs: of these pictures.
        maps: of `align_thumbnails`.
    """
    first = orient_pixels(luma[pairs.first], pairs.orientation)
    second = luma[pairs.second]
    maps = align(first, second, pairs.first_box, maps, points=24, steps=5)
    places = create_grid(SIDE) @ maps.transpose(0, 2, 1)
    ours = sample_grid(first, SIDE)
    theirs = sample(second, places)
    shape = (len(pairs), SIDE, SIDE)
    whole = _find_shared(pairs, places, 5)
    sharp = [_sharpen(side.reshape(shape), 7) for side in (ours, theirs)]
    fit = _correlate(sharp[0], sharp[1], whole, BLOCKS)
    low, middle = _summarise(fit, 2, LEAST_BLOCKS)
    recoloured = np.zeros(len(pairs), np.float32)
    alike = np.flatnonzero(_have_same_structure(low, middle))  # nobody asks for others' colours
    if len(alike):
        light, whole = np.abs(ours - theirs)[alike].reshape(-1, SIDE, SIDE), whole[alike]
        same_light = (light * whole).sum((1, 2)) <= SAME_LIGHT * whole.sum((1, 2))
        # Where something was written over the picture, its colour is another too.
        scale = chroma.shape[-1] // BLOCKS
        kept = ~(fit[alike] < COVERED).repeat(scale, axis=1).repeat(scale, axis=2)
        kept = kept.reshape(len(alike), -1)
        colours = (chroma, pairs[alike], maps[alike], kept, same_light)
        recoloured[alike] = _compare_colours(*colours)
    return Likeness(low, middle, recoloured)


def _summarise(fit: np.ndarray, edge: int, least: int) -> np.ndarray:
    """Return low and middle correlation (2, pairs) of all blocks, or without a caption's.

    Args:
        fit: (pairs, blocks, blocks), NaN where there is no structure.
        edge: rows or columns of blocks at one side that a caption may cover.
        least: blocks with structure, without which nothing can be told.
    """
    best = np.full((2, len(fit)), -1.0)
    told = np.ones(len(fit), bool)
    everything = np.s_[:]
    edges = (np.s_[:, edge:], np.s_[:, :-edge], np.s_[:, :, edge:], np.s_[:, :, :-edge])
    for part in (everything, *edges):
        seen = fit[part].reshape(len(fit), -1)
        # What all lies at one edge may be the same caption under two pictures.
        told &= np.isfinite(seen).sum(axis=1) >= least
        if not told.any():
            break
        found = _find_quantiles(seen[told], (0.2, 0.5))
        better = found[0] > best[0, told]
        best[:, told] = np.where(better, found, best[:, told])
    best[:, ~told] = np.nan
    return best


def _find_quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return np.nanquantile of rows that hold a number each, (shares, rows), many times faster."""
    ordered = np.sort(values, axis=1)  # NaN last
    last = np.isfinite(values).sum(axis=1) - 1
    found = []
    for share in shares:
        place = share * last
        low = np.floor(place).astype(np.int64)
        ends = np.take_along_axis(
            ordered, np.stack([low, np.minimum(low + 1, last)], axis=1), axis=1
        )
        found.append(ends[:, 0] + (ends[:, 1] - ends[:, 0]) * (place - low))
    return np.array(found)


def _find_shared(pairs: Pairs, places: np.ndarray, size: int) -> np.ndarray:
    """Return what both pictures show, bool (pairs, side, side), and that far around as well.

    A border shows nothing: two photographs in the same white frame are not one for it.

    Args:
        pairs: of pictures.
        places: (pairs, side², 2), where the middles of a grid over the first are in the second.
        size: width of the square around a place that must be shared too.
    """
    side = int(np.sqrt(places.shape[1]))
    shared = np.ones(places.shape[:2], bool)
    for content, seen in (
        (pairs.first_content, create_grid(side)[None, :, :2]),
        (pairs.second_content, places),
    ):
        shared &= find_inside(seen, content[:, None])
    square = shared.reshape(-1, side, side).astype(np.float32)
    return np.asarray(uniform_filter(square, (1, size, size)) > 0.999)


def _sharpen(pictures: np.ndarray, size: int) -> np.ndarray:
    """Return pictures without what is larger than so many pixels."""
    return np.asarray(pictures - uniform_filter(pictures, (1, size, size), mode="nearest"))


def _correlate(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray, blocks: int
) -> np.ndarray:
    """Return the correlation in each block, NaN where there is no structure.

    Args:
        first: float32 (pairs, side, side).
        second: float32 (pairs, side, side).
        inside: bool (pairs, side, side), what is compared.
        blocks: along each side.
    """

    def add(values: np.ndarray) -> np.ndarray:
        side = values.shape[1] // blocks
        cut = (values * inside).reshape(-1, blocks, side, blocks, side)
        return np.asarray(cut.sum(axis=(2, 4)))

    count = add(np.ones_like(first))
    powers = [add(first * first), add(second * second)]
    shared = add(first * second)
    strength = np.sqrt(np.maximum(*powers) / np.maximum(count, 1))
    whole = count > 0.6 * count.max(axis=(1, 2), keepdims=True)
    # Of a smooth picture, such as one out of focus, the less smooth half.
    seen = np.where(whole, strength, np.nan).reshape(len(first), -1)
    usual = _find_quantiles(seen, (0.5,)).reshape(-1, 1, 1)
    told = whole & (strength >= np.clip(usual, LEAST_STRUCTURE, STRUCTURE))
    fit = shared / np.sqrt(np.maximum(powers[0] * powers[1], 1e-6))
    return np.where(told, fit, np.nan)


def _compare_colours(
    chroma: np.ndarray,
    pairs: Pairs,
    maps: np.ndarray,
    kept: np.ndarray,
    same_light: np.ndarray,
) -> np.ndarray:
    """Return the share of colourful points whose colours differ; 0 where colours were taken away.

    A picture without any colour is a copy of one with colours only where its light is the same.
    """
    side = chroma.shape[-1]
    first = orient_pixels(chroma[pairs.first], pairs.orientation).astype(np.float32)
    first = first.reshape(len(pairs), 2, -1)
    places = create_grid(side) @ maps.transpose(0, 2, 1)
    theirs = chroma[pairs.second]
    second = np.stack([sample(theirs[:, colour], places) for colour in (0, 1)], axis=1)
    inside = find_inside(places, WHOLE)
    ours, theirs = (np.hypot(*colours.transpose(1, 0, 2)) for colours in (first, second))
    strength = np.maximum(ours, theirs)
    distance = np.hypot(*(first - second).transpose(1, 0, 2))
    inside &= kept
    colourful = inside & (strength > COLOURFUL)
    other = colourful & (distance > DIFFERENT * strength)
    share = other.sum(axis=1) / np.maximum(colourful.sum(axis=1), side)
    grey = np.minimum(*((inside * c).max(axis=1) for c in (ours, theirs))) < GREY
    return np.asarray(np.where(grey & same_light, 0, share))

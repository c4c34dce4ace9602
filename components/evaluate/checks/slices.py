"""Slices: is the model as good for the dark photos, the small ones, those of one camera?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import COLUMNS
from components.common.statistics.bootstrap import draw_weights
from components.common.statistics.holm import correct_holm
from components.common.statistics.shares import Sampling, compute_share_interval, count_effective

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES = 30  # a column of more different texts tells images apart, it does not group them
MISSING = "missing"
# Names of the parts of a measure, from low to high, by how many parts there are.
PARTS = {
    2: ("low", "high"),
    3: ("low", "middle", "high"),
    4: ("lowest", "low", "high", "highest"),
}
SQUARE = 1.05  # sides that differ by at most 5 % look square


@dataclass(frozen=True)
class Slice:
    """The test images that have one value in common, and how well the model does on them."""

    name: str  # column.value: promote's rules say slices.<name>.accuracy
    column: str
    value: str
    about: str  # the range of a measure, in words; else empty
    images: int
    mistakes: int
    accuracy: float
    accuracy_interval: list[float]
    gap: float  # accuracy minus that of all test images
    gap_interval: list[float]
    is_judged: bool  # enough images in it, and outside of it
    p_value: float | None  # that it differs from the other images by luck; None: not judged
    p_adjusted: float | None  # the same, corrected for the number of slices (Holm 1979)
    is_worse: bool  # judged, below the others, and not by luck


def create_slices(rows: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return what each image is, by column: a (value, words about it) an image.

    Slice columns of the manifest come first, then what every image has: brightness, sharpness,
    size and shape. A column with one value only, or with too many, is left out.

    Args:
        rows: of the manifest, one an image.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for column in (str(name) for name in rows.columns if name not in COLUMNS):
        values = rows[column]
        distinct = values.dropna().nunique()
        if values.dtype.kind in "fiu" and distinct > 2 * max(PARTS):
            found[column] = _cut(values.to_numpy(np.float64))
        elif distinct <= MOST_VALUES:
            texts = values.astype(object).where(values.notna() & (values != ""), MISSING)
            found[column] = [(str(value), "") for value in texts]
    width, height = _turn(rows)
    found["brightness"] = _cut(rows["brightness"].to_numpy(np.float64))
    found["sharpness"] = _cut(rows["sharpness"].to_numpy(np.float64))
    found["size"] = _cut(np.sqrt(width * height), " px")
    found["shape"] = [(_name_shape(ratio), "") for ratio in width / height]
    return {column: values for column, values in found.items() if len(set(values)) > 1}


def judge_slices(
    slices: dict[str, list[tuple[str, str]]],
    correct: np.ndarray,
    sampling: Sampling,
    min_images: int,
) -> list[Slice]:
    """Return how well the model does on each slice, the worst judged ones first.

    Args:
        slices: of :func:`create_slices`.
        correct: bool (images,), whether each image is named correctly.
        sampling: groups, level and resamples; 1 - level is also the chance that, by luck alone,
            any slice is found worse.
        min_images: a slice of fewer is not judged, nor one that fewer are outside of.
    """
    groups, level = sampling.groups, sampling.level
    names, members = [], []
    for column, values in slices.items():
        for value, about in sorted(set(values)):
            names.append((column, value, about))
            members.append([one == (value, about) for one in values])
    if not names:
        return []
    member = np.array(members, bool)  # (slices, images)
    gaps = _compute_gap_intervals(member, correct, sampling)
    images = member.sum(axis=1)
    judged = (images >= min_images) & (len(correct) - images >= min_images)
    p_values = [_compare(correct, groups, one) for one in member[judged]]
    p_value, adjusted = np.full(len(names), np.nan), np.full(len(names), np.nan)
    p_value[judged], adjusted[judged] = p_values, correct_holm(p_values)
    whole = float(correct.mean())
    found = []
    for i, (column, value, about) in enumerate(names):
        hits = correct[member[i]]
        gap = float(hits.mean()) - whole
        found.append(
            Slice(
                name=f"{column}.{value}",
                column=column,
                value=value,
                about=about,
                images=len(hits),
                mistakes=int((~hits).sum()),
                accuracy=float(hits.mean()),
                accuracy_interval=list(compute_share_interval(hits, groups[member[i]], level)),
                gap=gap,
                gap_interval=gaps[i],
                is_judged=bool(judged[i]),
                p_value=float(p_value[i]) if judged[i] else None,
                p_adjusted=float(adjusted[i]) if judged[i] else None,
                is_worse=bool(judged[i] and adjusted[i] < 1 - level and gap < 0),
            )
        )
    return sorted(found, key=lambda one: (not one.is_worse, not one.is_judged, one.gap))


def _compute_gap_intervals(
    member: np.ndarray, correct: np.ndarray, sampling: Sampling
) -> list[list[float]]:
    """Return the interval of each slice's accuracy minus that of all images."""
    sums = member.T.astype(np.float64)  # (images, slices)
    hits = sums * correct[:, None]
    found = []
    for weights in draw_weights(sampling.groups, sampling.resamples):
        with np.errstate(invalid="ignore"):  # a resample without an image of a small slice
            inside = (weights @ hits) / (weights @ sums)
        found.append(inside - (weights @ correct / weights.sum(axis=1))[:, None])
    tails = (50 * (1 - sampling.level), 50 * (1 + sampling.level))
    ends = np.nanpercentile(np.concatenate(found), tails, axis=0)
    return [[float(low), float(high)] for low, high in ends.T]


def _compare(correct: np.ndarray, groups: np.ndarray, inside: np.ndarray) -> float:
    """Return the two-sided p-value of Fisher's exact test: right and wrong, inside and outside.

    Counts of images in groups are divided by their design effect, as in
    :func:`components.common.statistics.shares.count_effective`.
    """
    from scipy.stats import fisher_exact

    table = []
    for of in (inside, ~inside):
        hits = correct[of]
        count = round(count_effective(hits, groups[of]))
        right = round(count * float(hits.mean()))
        table.append([right, count - right])
    return float(fisher_exact(table).pvalue)


def _cut(values: np.ndarray, unit: str = "") -> list[tuple[str, str]]:
    """Return the part of the images each value lies in: quarters, fewer where values repeat."""
    known = values[np.isfinite(values)]
    if not len(known):
        return [(MISSING, "")] * len(values)
    inner = np.unique(np.quantile(known, (0.25, 0.5, 0.75)))
    inner = inner[inner > known.min()]
    names = PARTS.get(len(inner) + 1, ("all",))
    ends = [known.min(), *inner, known.max()]
    about = [f"{_say(a)} to {_say(b)}{unit}" for a, b in pairwise(ends)]
    place = np.searchsorted(inner, values, side="right")
    return [
        (names[k], about[k]) if np.isfinite(value) else (MISSING, "")
        for k, value in zip(place, values, strict=True)
    ]


def _say(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.2g}"


def _turn(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return width and height as the picture is seen: EXIF orientations 5 to 8 swap them."""
    width, height = (rows[name].to_numpy(np.float64) for name in ("width_px", "height_px"))
    lies = rows["exif_orientation"].to_numpy() >= 5
    return np.where(lies, height, width), np.where(lies, width, height)


def _name_shape(ratio: float) -> str:
    if ratio > SQUARE:
        return "landscape"
    return "portrait" if ratio < 1 / SQUARE else "square"

"""Tell what became of the images of an earlier run, and ask before many would move."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import FRACTIONS
from components.common.errors import DarkroomError
from components.preprocess.splits.conflicts import OUT
from components.preprocess.splits.history import find_past, may_keep
from components.preprocess.splits.reasons import COPY, PARTED, TWO_LABELS
from components.preprocess.splits.splits import draw_rows, find_homes, read_given

if TYPE_CHECKING:
    import pandas as pd


def check_fractions(
    images: pd.DataFrame, earlier: pd.DataFrame, *, val_fraction: float, test_fraction: float
) -> None:
    """Raise DarkroomError where other fractions than those of an earlier run would move images."""
    match earlier.attrs.get(FRACTIONS):
        case [float() as val, float() as test] if (val, test) != (val_fraction, test_fraction):
            pass
        case _:
            return
    given = read_given(images["split"].fillna(""))
    past = find_past(images, earlier)
    draws = draw_rows(images)
    now = find_homes(draws, given, val_fraction, test_fraction)
    then = find_homes(draws, given, val, test)
    moves = may_keep(given, past) & (now != then) & (now != past)
    if moves.any():
        moved = _count_moves(past[moves], now[moves])
        raise DarkroomError(
            f"the splits were drawn with val_fraction {val:g} and test_fraction {test:g}, now they "
            f"are {val_fraction:g} and {test_fraction:g}: {moves.sum():,} of {len(images):,} "
            f"images would move ({moved}), and a model trained before may know the new test "
            "images. Put the fractions back, or set preprocess.redraw to true (or remove "
            "splits.parquet) to draw all anew"
        )


def describe_changes(
    images: pd.DataFrame, splits: pd.DataFrame, earlier: pd.DataFrame, *, redraw: bool
) -> str:
    """Return how many images are elsewhere than an earlier run had put them, and why.

    Args:
        images: rows of the manifest, sorted by path as the splits are.
        splits: as they are now.
        earlier: as they were.
        redraw: whether all were drawn anew.
    """
    past = find_past(images, earlier)
    now = splits["split"].map({name: code for code, name in enumerate(SPLITS)}).fillna(OUT)
    now = now.to_numpy(np.int64)
    known = past != OUT
    changed = known & (now != past)
    gone = earlier["split"].notna().sum() - known.sum()
    left = set(earlier["path"][earlier["split"].isna()])
    taken = (~known & (now != OUT) & splits["path"].isin(left).to_numpy()).sum()
    text = f"since last time {changed.sum():,} of {known.sum():,} images changed split"
    if changed.any():
        given = images["split"][changed].fillna("")
        causes = Counter(
            _name_cause(why, bool(told), redraw)
            for why, told in zip(splits["why"][changed], given, strict=True)
        )
        reasons = ", ".join(f"{count:,} {cause}" for cause, count in causes.most_common())
        text += f" ({_count_moves(past[changed], now[changed])}): {reasons}"
    if gone > 0:
        text += f"; {gone:,} are gone"
    if taken:
        text += f"; {taken:,} that were left out are in a split now"
    return text


def _name_cause(why: str, given: bool, redraw: bool) -> str:
    for begins, cause in (
        (TWO_LABELS, "left out under two labels"),
        (PARTED, "left out because their group is in another split"),
        (COPY, "left out as near-duplicates of images in another split"),
    ):
        if why.startswith(begins):
            return cause
    if given:
        return "given another split"
    return "drawn anew" if redraw else "for other reasons (column `why`)"


def _count_moves(past: np.ndarray, now: np.ndarray) -> str:
    names = [*SPLITS, "none"]  # OUT is the last of them
    counts = Counter(zip(past.tolist(), now.tolist(), strict=True))
    return ", ".join(
        f"{count:,} from {names[old]} to {names[new]}"
        for (old, new), count in sorted(counts.items(), key=lambda item: -item[1])
    )

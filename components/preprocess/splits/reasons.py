"""Say in words why each image is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.files.laid import ROWS
from components.preprocess.splits.conflicts import FREE, OUT

if TYPE_CHECKING:
    import pandas as pd

DRAWN, WAS, MATES, GONE = range(4)  # what decided the home of an image that has no given split
# How the reasons of images begin, or are marked, that a report counts.
OUT_WORDS = "left out, "
COPY = f"{OUT_WORDS}near-duplicate of "
PARTED = f"{OUT_WORDS}its group "
ALONE = "by itself it is in "
TWO_LABELS = f"{OUT_WORDS}the same file as "
FILLED = "; put here because class "
ALSO = "; near-duplicate of "
STAYS = "where an earlier run had put it"
_TOLD = {
    WAS: STAYS,
    MATES: "where an earlier run had put its group",
    GONE: "where an earlier run had put a picture that it repeats, and that is gone",
}


@dataclass(frozen=True)
class Decisions:
    """What was decided, an entry an image."""

    given: np.ndarray  # position in SPLITS, or FREE
    groups: np.ndarray  # names, or empty
    draws: np.ndarray  # 0 to 1
    natural: np.ndarray  # position in SPLITS by draw or as given
    source: np.ndarray  # DRAWN, WAS, MATES or GONE
    home: np.ndarray  # position in SPLITS
    mate: np.ndarray  # of its group in another split, or OUT
    copy: np.ndarray  # its near-duplicate in another split, or OUT
    out: np.ndarray  # whether it is in no split


def explain(paths: pd.Series, decisions: Decisions) -> Iterator[list[str]]:
    """Yield a reason in words for each image, some at a time."""
    for start in range(0, len(paths), ROWS):
        columns = [one[start : start + ROWS].tolist() for one in vars(decisions).values()]
        yield [_explain_one(paths, decisions.home, one) for one in zip(*columns, strict=True)]


def _explain_one(paths: pd.Series, home: np.ndarray, decided: Sequence[Any]) -> str:
    given, group, draw, natural, source, own, mate, copy, out = decided
    key = f"its group {group}" if group else "its content"
    if given == FREE:
        reason = f"hash of {key} is {draw:.4f}"
    elif given == own:
        reason = "given"
    else:
        reason = f"carved out of the given train: hash of {key} is {draw:.4f}"
    if source != DRAWN and own != natural:
        reason = f"{_TOLD[source]}; {reason}"
    if mate != OUT or copy != OUT:
        alone = f"{ALONE}{SPLITS[own]}: {reason}"
        if mate != OUT:
            like = f"its group {group} is in {SPLITS[home[mate]]} ({paths[mate]})"
        else:
            like = f"near-duplicate of {paths[copy]} in {SPLITS[home[copy]]}"
        reason = f"{OUT_WORDS}{like}; {alone}" if out else f"{reason}; {like}"
        if OUT not in (mate, copy) and not out:
            other = f"near-duplicate of {paths[copy]} in {SPLITS[home[copy]]}"
            reason = f"{reason}; {other}"
    return reason

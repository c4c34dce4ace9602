"""Decide which image is in which split, so that splits never leak and no image ever moves.

The rule, and why it is this one:

1. Every image has a *home*: the split that the hash of its content, or of its group's name, falls
   into. Nothing else decides it, so file order, machine and other images do not matter, and added
   images move none. Counting would fill the splits more exactly, but each addition would move some.
2. Near-duplicates with different homes would leak. The best copy of each cluster stays at home; the
   copies with another home are left out of all splits. They are not moved: a moved image would be
   judged by a model that was trained on it. As near copies they would have taught little.
3. Where an earlier splits.parquet is at hand, an image that it knows stays where it was, whatever
   was done to its file or its group since (`history.py`), and comes before any newcomer. Losing it
   moves no image whose bytes and group are what they were, but for those of rule 5.
4. Splits that the folder or metadata.csv gives are honoured. Where they lack val or test, it is
   carved out of train by the same hash.
5. A class that would be missing in a split, though it has units enough, gets the one there whose
   hash is nearest (`classes.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import FRACTIONS, LOOKS
from components.common.errors import DarkroomError
from components.common.files.laid import lay_down, lay_text, lay_texts
from components.preprocess.splits.conflicts import (
    FREE,
    OUT,
    TEST,
    TRAIN,
    VAL,
    find_late_conflicts,
    find_settled_conflicts,
    number_pictures,
)
from components.preprocess.splits.groups import check_groups, find_parted, name_together
from components.preprocess.splits.history import find_gone, find_mates, find_past, may_keep
from components.preprocess.splits.reasons import DRAWN, GONE, MATES, WAS, Decisions, explain

if TYPE_CHECKING:
    import pandas as pd

# Part of what is hashed. Another salt draws other splits: changing it moves every image.
SALT = "darkroom"


def assign_splits(
    images: pd.DataFrame,
    *,
    val_fraction: float,
    test_fraction: float,
    near_duplicate_bits: int,
    leakage: str = "warn",
    earlier: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return who is in which split, and why.

    Args:
        images: rows of the manifest that may be used.
        val_fraction: share of the images for validation.
        test_fraction: share of the images for the test.
        near_duplicate_bits: where only perceptual hashes tell copies, as of removed images, they
            differ in at most so many bits.
        leakage: what becomes of near-duplicates, and of groups, across *given* splits. `warn` keeps
            them; `exclude` leaves out those of train (and of val, where one is in test); `fail`
            raises.
        earlier: what this function returned for fewer or other images; its images come first.

    Returns:
        A row an image, sorted by path: path, label, sha256, group_id, split (missing where the
        image is left out) and why. All images of one group_id that are in a split are in the same
        one, unless given splits part a group.

    Raises:
        DarkroomError: if a given split is none of train, val and test, or `leakage` is `fail` and
            given splits leak.
    """
    import pandas as pd

    rows = sort_rows(images)
    sha256 = rows["sha256"]
    given = read_given(rows["split"].fillna(""))
    groups = name_groups(rows)
    draws = draw_rows(rows)
    natural = find_homes(draws, given, val_fraction, test_fraction)
    home, source = _find_homes_with_history(
        rows=rows,
        given=given,
        groups=groups,
        natural=natural,
        earlier=earlier,
        bits=near_duplicate_bits,
    )
    rank = _rank_copies(rows)

    # What is settled comes before newcomers: given splits, and where an earlier run had put images.
    settled = (given != FREE) | (source == WAS)
    known = np.where(settled & (given == FREE), home, OUT)
    mate, parted = find_parted(
        groups=groups,
        settled=settled,
        given=given,
        home=home,
        known=known,
        rank=rank,
        leakage=leakage,
    )
    check_groups(leakage, parted & (given != FREE), rows["path"], groups, given)
    away = parted & ((leakage != "warn") | (given == FREE))

    picture = number_pictures(rows, near_duplicate_bits)
    # Whoever is away for its group is looked at no more.
    firm, told = settled & ~away, np.where(away, FREE, given)
    # What two settled images have in common with a newcomer alone is the newcomer's conflict.
    among = np.zeros(len(rows), np.int64)
    looks = rows[[name for name in ("sha256", "phash", "picture") if name in rows]]
    among[firm] = number_pictures(looks[firm], near_duplicate_bits)
    conflict = find_settled_conflicts(among, firm, told, home, rank, keep_leaks=leakage == "warn")
    leaking = (conflict != OUT) & (told != FREE) & (told != told[conflict])
    out = (conflict != OUT) & ~(leaking & (leakage == "warn"))
    _check_leakage(leakage, leaking, conflict, rows["path"])
    stays = firm & ~out
    late = find_late_conflicts(picture, stays, settled | away, home, rank)
    conflict = np.where(settled, conflict, late)
    out |= (late != OUT) | away
    leader = np.where(out, np.where(away, mate, conflict), OUT)
    # The mate that an image yields to may have left for a copy in turn.
    chained = (leader != OUT) & out[leader]
    leader[chained] = leader[leader[chained]]
    names = np.array([*SPLITS, None], object)
    decisions = Decisions(given, groups, draws, natural, source, home, mate, conflict, out)
    splits = pd.DataFrame(
        {
            "path": rows["path"],
            "label": rows["label"],
            "sha256": sha256,
            # Copies that stay apart, in given splits, are told apart by where they are.
            "group_id": name_together(sha256, picture * len(SPLITS) + home, groups, leader),
            "split": lay_text(pd.Series(names[np.where(out, OUT, home)], dtype="str")),
            "why": lay_texts(explain(rows["path"], decisions)),
        }
        | {name: _fill(rows, name) for name in LOOKS}
    )
    splits.attrs[FRACTIONS] = [val_fraction, test_fraction]
    return splits


def sort_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows sorted by path, numbered from 0; as they are where they are so already."""
    import pyarrow as pa
    import pyarrow.compute as pc

    paths = pa.array(rows["path"], pa.large_string())
    if pc.all(pc.less_equal(paths[:-1], paths[1:])).as_py():
        return rows.reset_index(drop=True)
    return lay_down(rows, pc.sort_indices(paths).to_numpy())


def _fill(rows: pd.DataFrame, name: str) -> pd.Series | str:
    """Return a column with empty texts where none is known; an empty text where there is none."""
    if name not in rows:
        return ""
    return rows[name].fillna("") if rows[name].isna().any() else rows[name]


def _find_homes_with_history(
    *,
    rows: pd.DataFrame,
    given: np.ndarray,
    groups: np.ndarray,
    natural: np.ndarray,
    earlier: pd.DataFrame | None,
    bits: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the split that each image belongs to, and what decided it: DRAWN, WAS, MATES, GONE."""
    home, source = natural.copy(), np.full(len(rows), DRAWN)
    past = find_past(rows, earlier)
    gone = find_gone(rows, past, earlier, bits)
    past = np.where(may_keep(given, past), past, OUT)
    mates = np.where(given == FREE, find_mates(groups, past), OUT)
    for kind, where in ((GONE, np.where(given == FREE, gone, OUT)), (MATES, mates), (WAS, past)):
        found = where != OUT
        home[found], source[found] = where[found], kind
    return home, source


def compute_draws(keys: Iterable[str]) -> np.ndarray:
    """Return a number in [0, 1) for each key: uniform over keys, always the same for one key."""
    digests = [hashlib.sha256(f"{SALT} {key}".encode()).digest()[:8] for key in keys]
    return np.frombuffer(b"".join(digests), ">u8") / 2.0**64


def find_homes(
    draws: np.ndarray, given: np.ndarray, val_fraction: float, test_fraction: float
) -> np.ndarray:
    """Return the split that each image belongs to by itself: the given one, or the one it draws.

    Args:
        draws: (images,), 0 to 1; test is drawn first, so another val_fraction moves no test image.
        given: (images,) position in SPLITS, or FREE.
        val_fraction: share of the images for validation.
        test_fraction: share of the images for the test.
    """
    drawn = np.full(len(draws), TRAIN)
    drawn[draws < test_fraction + val_fraction] = VAL
    drawn[draws < test_fraction] = TEST
    # A given train split gives up images only to a split that is not given.
    carved = (given == TRAIN) & ~np.isin(drawn, np.unique(given))
    return np.where((given == FREE) | carved, drawn, given)


def read_given(splits: pd.Series) -> np.ndarray:
    """Return the position in SPLITS of each given split, FREE where it is empty."""
    codes = {name: code for code, name in enumerate((*SPLITS, ""))}
    unknown = sorted(set(splits) - set(codes))
    if unknown:
        raise DarkroomError(
            f"manifest: split must be {', '.join(SPLITS)} or empty, got {unknown[0]!r}; "
            "mend metadata.csv and run validate again"
        )
    return np.asarray(splits.map(codes), np.int64)


def name_groups(rows: pd.DataFrame) -> np.ndarray:
    """Return the name of each image's group, empty where it has none."""
    return np.asarray(rows["group"].fillna("").astype(str), object)


def draw_rows(rows: pd.DataFrame) -> np.ndarray:
    """Return a number in [0, 1) for each image: by its group's name, or else by its content."""
    return compute_draws(
        f"group {group}" if group else f"image {digest}"
        for group, digest in zip(name_groups(rows), rows["sha256"], strict=True)
    )


def _rank_copies(rows: pd.DataFrame) -> np.ndarray:
    """Return the order of the images, best copy first: by pixels, then bytes, then sha256."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pixels = rows["width_px"].to_numpy(np.int64) * rows["height_px"].to_numpy(np.int64)
    # Rows are sorted by path, and lexsort is stable: of the same bytes, the first path is the best.
    digests = pa.array(rows["sha256"], pa.large_string())
    digest = pc.rank(digests, "ascending", tiebreaker="dense").to_numpy()
    order = np.lexsort((digest, -rows["bytes"].to_numpy(np.int64), -pixels))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _check_leakage(
    leakage: str, leaking: np.ndarray, conflict: np.ndarray, paths: pd.Series
) -> None:
    if leakage == "fail" and leaking.any():
        first = int(np.flatnonzero(leaking)[0])
        raise DarkroomError(
            f"{leaking.sum()} images nearly repeat an image of another given split, first "
            f"{paths[first]} and {paths[conflict[first]]}; remove them, or set "
            "preprocess.leakage to exclude or warn"
        )

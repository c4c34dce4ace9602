"""Decide which image is in which split, so that splits never leak and no image ever moves.

The rule, and why it is this one:

1. Every image has a *home*: the split that the hash of its content, or of its group's name, falls
   into. Nothing else decides it, so file order, machine and other images do not matter, and added
   images move none. Counting would fill the splits more exactly, but each addition would move some.
2. Near-duplicates with different homes would leak. The best copy of each cluster stays at home; the
   copies with another home are left out of all splits. They are not moved: a moved image would be
   judged by a model that was trained on it. As near copies they would have taught little.
   Where an earlier splits.parquet is at hand, what it holds comes before any newcomer, so that old
   images are not even left out. It never decides a home: losing it moves no image either.
3. Splits that the folder or metadata.csv gives are honoured. Where they lack val or test, it is
   carved out of train by the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import read_splits
from components.common.errors import DarkroomError
from components.preprocess.conflicts import (
    FREE,
    OUT,
    TEST,
    TRAIN,
    VAL,
    compute_clusters,
    find_late_conflicts,
    find_settled_conflicts,
)

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
        near_duplicate_bits: images whose perceptual hashes differ in at most so many bits are
            near-duplicates.
        leakage: what becomes of near-duplicates across *given* splits. `warn` keeps them; `exclude`
            leaves out those of train (and of val, where one is in test); `fail` raises.
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

    rows = images.sort_values("path", ignore_index=True)
    sha256, phashes = rows["sha256"], rows["phash"].fillna("")
    given = _read_given(rows["split"].fillna(""))
    groups = rows["group"].fillna("").astype(str).to_numpy(object)
    draws = compute_draws(_list_keys(sha256, groups))
    home = find_homes(draws, given, val_fraction, test_fraction)
    rank = _rank_copies(rows)

    def cluster(among: np.ndarray) -> np.ndarray:
        return compute_clusters(sha256, phashes, near_duplicate_bits, among)

    # First what is settled: given splits, and what an earlier run drew. Then the newcomers.
    settled = (given != FREE) | _was_drawn(sha256, home, earlier)
    conflict = find_settled_conflicts(
        cluster(settled), settled, given, home, rank, keep_leaks=leakage == "warn"
    )
    leaking = (conflict != OUT) & (given != given[conflict])
    out = (conflict != OUT) & ~(leaking & (leakage == "warn"))
    _check_leakage(leakage, leaking, conflict, rows["path"])
    stays = settled & ~out
    clusters = cluster(~settled | stays)
    late = find_late_conflicts(clusters, stays, settled, home, rank)
    conflict = np.where(settled, conflict, late)
    out |= late != OUT
    names = np.array([*SPLITS, None], object)
    return pd.DataFrame(
        {
            "path": rows["path"],
            "label": rows["label"],
            "sha256": sha256,
            # Clusters that only left-out images link are told apart by where they are.
            "group_id": _name_groups(
                sha256, clusters * len(SPLITS) + home, groups, np.where(out, conflict, OUT)
            ),
            "split": pd.Series(names[np.where(out, OUT, home)], dtype="str"),
            "why": _explain(
                paths=rows["path"],
                names=names,
                given=given,
                groups=groups,
                draws=draws,
                home=home,
                conflict=conflict,
                out=out,
            ),
        }
    )


def read_earlier(file: Path) -> pd.DataFrame | None:
    """Return the splits of an earlier run, if there are any; damaged ones count as none."""
    try:
        return read_splits(file, ("sha256", "split"))
    except DarkroomError:
        return None


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


def _read_given(splits: pd.Series) -> np.ndarray:
    """Return the position in SPLITS of each given split, FREE where it is empty."""
    codes = {name: code for code, name in enumerate((*SPLITS, ""))}
    unknown = sorted(set(splits) - set(codes))
    if unknown:
        raise DarkroomError(
            f"manifest: split must be {', '.join(SPLITS)} or empty, got {unknown[0]!r}; "
            "mend metadata.csv and run validate again"
        )
    return np.asarray(splits.map(codes), np.int64)


def _list_keys(sha256: pd.Series, groups: np.ndarray) -> list[str]:
    """Return what decides each image's home: its group's name, or else its content."""
    return [
        f"group {group}" if group else f"image {digest}"
        for group, digest in zip(groups, sha256, strict=True)
    ]


def _rank_copies(rows: pd.DataFrame) -> np.ndarray:
    """Return the order of the images, best copy first: by pixels, then bytes, then sha256."""
    pixels = rows["width_px"].to_numpy(np.int64) * rows["height_px"].to_numpy(np.int64)
    # Rows are sorted by path, and lexsort is stable: of the same bytes, the first path is the best.
    order = np.lexsort(
        (rows["sha256"].to_numpy(object), -rows["bytes"].to_numpy(np.int64), -pixels)
    )
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _was_drawn(sha256: pd.Series, home: np.ndarray, earlier: pd.DataFrame | None) -> np.ndarray:
    """Return which images an earlier run had put into the split that they still belong to."""
    if earlier is None:
        return np.zeros(len(sha256), bool)
    kept = earlier[earlier["split"].notna()]
    known = dict(zip(kept["sha256"], kept["split"], strict=True))
    return np.asarray(sha256.map(known) == np.array(SPLITS, object)[home], bool)


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


def _name_groups(
    sha256: pd.Series, cluster: np.ndarray, groups: np.ndarray, leader: np.ndarray
) -> np.ndarray:
    """Return for each image the name of what stays together: the smallest sha256 in it, 16 digits.

    Args:
        sha256: of each image.
        cluster: (images,) numbers of the clusters of the images that are in a split.
        groups: (images,) names of the groups, or empty.
        leader: (images,) for an image that is left out, the one it yields to, whose name it takes;
            -1 for those in a split.
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = leader == OUT
    near, _ = pd.factorize(np.where(kept, cluster, cluster[leader]))
    group, names = pd.factorize(groups)
    joins = kept & (groups != "")  # clusters are joined by groups that are in both
    size = len(near) + len(names)
    edges = coo_array(
        (np.ones(joins.sum(), np.int8), (near[joins], len(near) + group[joins])), shape=(size, size)
    )
    _, component = connected_components(edges, directed=False)
    digests = sha256.str[:16]
    return np.asarray(digests.groupby(component[near]).transform("min"), object)


def _explain(
    *,
    paths: pd.Series,
    names: np.ndarray,
    given: np.ndarray,
    groups: np.ndarray,
    draws: np.ndarray,
    home: np.ndarray,
    conflict: np.ndarray,
    out: np.ndarray,
) -> list[str]:
    """Return a reason in words for each image."""
    words = []
    columns = (given, groups, draws, home, conflict, out)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for was_given, group, draw, own, other, is_out in rows:
        key = f"its group {group}" if group else "its content"
        if was_given == FREE:
            reason = f"hash of {key} is {draw:.4f}"
        elif was_given == own:
            reason = "given"
        else:
            reason = f"carved out of the given train: hash of {key} is {draw:.4f}"
        if other != OUT:
            like = f"near-duplicate of {paths[other]} in {names[home[other]]}"
            alone = f"by itself it is in {names[own]}: {reason}"
            reason = f"left out, {like}; {alone}" if is_out else f"{reason}; {like}"
        words.append(reason)
    return words

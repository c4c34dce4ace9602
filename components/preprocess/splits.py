"""Decide which image is in which split, so that splits never leak and no image ever moves.

The rule, and why it is this one:

1. Every image has a *home*: the split that the hash of its content, or of its group's name, falls
   into. Nothing else decides it, so file order, machine and other images do not matter, and added
   images move none. Counting would fill the splits more exactly, but each addition would move some.
2. Near-duplicates with different homes would leak. The best copy of each cluster stays at home; the
   copies with another home are left out of all splits. They are not moved: a moved image would be
   judged by a model that was trained on it. As near copies they would have taught little.
3. Splits that the folder or metadata.csv gives are honoured. Where they lack val or test, it is
   carved out of train by the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from components.common.duplicates import group_near_duplicates
from components.common.errors import DarkroomError
from components.common.manifest import SPLITS

if TYPE_CHECKING:
    import pandas as pd

# Part of what is hashed. Another salt draws other splits: changing it moves every image.
SALT = "darkroom"
TRAIN, VAL, TEST = range(3)  # positions in SPLITS
FREE = 3  # no split is given
OUT = -1  # in no split
# Where near-duplicates were given different splits, the first of these is not touched.
PRECEDENCE = np.array([2, 1, 0, 3])  # test, val, train, free


def assign_splits(
    images: pd.DataFrame,
    val_fraction: float,
    test_fraction: float,
    near_duplicate_bits: int,
    leakage: str = "warn",
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

    Returns:
        A row an image, sorted by path: path, label, sha256, group_id, split (missing where the
        image is left out) and why. All images of one group_id that are in a split are in the same
        one, unless `leakage` kept given splits that break this.

    Raises:
        DarkroomError: if a given split is none of train, val and test, or `leakage` is `fail` and
            given splits leak.
    """
    import pandas as pd

    rows = images.sort_values("path", ignore_index=True)
    given = _read_given(rows["split"].fillna(""))
    groups = rows["group"].fillna("").astype(str).to_numpy(object)
    draws = compute_draws(_list_keys(rows["sha256"], groups))
    home = find_homes(draws, given, val_fraction, test_fraction)
    cluster = compute_clusters(rows["sha256"], rows["phash"].fillna(""), near_duplicate_bits)
    leader = find_conflicts(cluster, given, home, _rank_copies(rows), leakage == "warn")

    leaking = (leader != OUT) & (given != FREE) & (given[leader] != given)
    if leakage == "fail" and leaking.any():
        first = int(np.flatnonzero(leaking)[0])
        raise DarkroomError(
            f"{leaking.sum()} images nearly repeat an image of another given split, first "
            f"{rows['path'][first]} and {rows['path'][leader[first]]}; remove them, or set "
            "preprocess.leakage to exclude or warn"
        )
    out = (leader != OUT) & ~(leaking & (leakage == "warn"))
    names = np.array([*SPLITS, None], object)
    split = names[np.where(out, OUT, home)]
    return pd.DataFrame(
        {
            "path": rows["path"],
            "label": rows["label"],
            "sha256": rows["sha256"],
            "group_id": _name_groups(rows["sha256"], cluster, groups, out),
            "split": pd.Series(split, dtype="str"),
            "why": _explain(
                paths=rows["path"],
                names=names,
                given=given,
                groups=groups,
                draws=draws,
                home=home,
                leader=leader,
                out=out,
            ),
        }
    )


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


def compute_clusters(
    sha256: Iterable[str], phashes: Iterable[str], near_duplicate_bits: int
) -> np.ndarray:
    """Return a number for each image, one for all that are near-duplicates or the same bytes."""
    import pandas as pd

    phashes = np.asarray(phashes, object)
    near = group_near_duplicates(phashes, near_duplicate_bits)  # (images,)
    same, _ = pd.factorize(np.asarray(sha256, object))
    return np.where(phashes == "", same + len(near), near)


def find_conflicts(
    cluster: np.ndarray,
    given: np.ndarray,
    home: np.ndarray,
    rank: np.ndarray,
    keep_leaks: bool,
) -> np.ndarray:
    """Return for each image that may not stay at home its near-duplicate elsewhere, -1 for others.

    Args:
        cluster: (images,), one number for all that are near-duplicates.
        given: (images,) position in SPLITS, or FREE.
        home: (images,) position in SPLITS.
        rank: (images,) order of the copies, best first.
        keep_leaks: whether given splits that leak will stay, so that others must respect them.
    """
    is_given = given != FREE
    # Across given splits: the best copy of the split that comes first.
    standard = _find_best(cluster, PRECEDENCE[given] * len(rank) + rank, is_given)
    leaks = is_given & (given != given[standard])
    conflict = np.where(leaks, standard, OUT)
    stays = is_given & (keep_leaks | ~leaks)
    # Inside a given train split, where val or test is carved out of it: the best copy.
    leader = _find_best(cluster * 4 + given, rank, stays)
    parted = stays & (home != home[leader])
    conflict[parted] = leader[parted]
    stays &= ~parted
    # What is drawn yields to whatever is given.
    drawn = ~is_given
    for split in range(len(SPLITS)):
        other = _find_best(cluster, rank, stays & (home == split))
        clash = drawn & (other != OUT) & (home != split)
        conflict[clash] = other[clash]
    # Where nothing is given: the best copy.
    drawn &= _find_best(cluster, rank, stays) == OUT
    leader = _find_best(cluster, rank, drawn)
    clash = drawn & (home != home[leader])
    conflict[clash] = leader[clash]
    return conflict


def _find_best(keys: np.ndarray, rank: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return for each image the lowest in rank of its key `among` some, -1 where none is."""
    rows = np.flatnonzero(among)
    rows = rows[np.argsort(-rank[rows])]
    best = np.full(int(keys.max(initial=0)) + 1, OUT)
    best[keys[rows]] = rows  # of equal keys the last one stays: that of lowest rank
    return np.asarray(best[keys])


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


def _name_groups(
    sha256: pd.Series, cluster: np.ndarray, groups: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Return for each image the name of what stays together: the smallest sha256 in it, 16 digits.

    Clusters and groups are joined by the images that are in both. An image that is left out joins
    nothing; it bears the name of its cluster.
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near, _ = pd.factorize(cluster)
    group, names = pd.factorize(groups)
    joins = ~out & (groups != "")
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
    leader: np.ndarray,
    out: np.ndarray,
) -> list[str]:
    """Return a reason in words for each image."""
    words = []
    for i in range(len(paths)):
        key = f"its group {groups[i]}" if groups[i] else "its content"
        drawn = f"hash of {key} is {draws[i]:.4f}"
        if given[i] == FREE:
            reason = drawn
        elif given[i] == home[i]:
            reason = "given"
        else:
            reason = f"carved out of the given train: {drawn}"
        if leader[i] != OUT:
            other = f"near-duplicate of {paths[leader[i]]} in {names[home[leader[i]]]}"
            own = f"by itself it is in {names[home[i]]}: {reason}"
            reason = f"left out, {other}; {own}" if out[i] else f"{reason}; {other}"
        words.append(reason)
    return words

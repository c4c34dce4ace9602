"""Keep images where an earlier run had put them, whatever was done to their files since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import LOOKS, read_splits
from components.common.errors import DarkroomError
from components.common.images.duplicates import find_pictures
from components.preprocess.splits.conflicts import FREE, OUT, PRECEDENCE, TRAIN, number_pictures

if TYPE_CHECKING:
    import pandas as pd

# Of one name, hashes that differ in so many of 64 bits are one picture, saved smaller or with more
# loss. Of two pictures that have nothing to do with each other one in some ten million is so near.
SAVED_AGAIN_BITS = 12


def read_earlier(file: Path, *, redraw: bool = False) -> pd.DataFrame | None:
    """Return the splits of an earlier run, None where there are none.

    Args:
        file: splits.parquet.
        redraw: whether all is drawn anew, so that damaged ones do no harm.

    Raises:
        DarkroomError: if the file is damaged, or no table of splits. Drawing anew without a word
            would put images that a model has learnt into the test.
    """
    if not file.exists():
        return None
    try:
        splits = read_splits(file, ("path", "sha256", "split"), others=True)
        unknown = sorted(set(splits["split"].dropna()) - set(SPLITS))
        if unknown:
            raise DarkroomError(f"{file}: no table of splits, its column split has {unknown[0]!r}")
    except DarkroomError as error:
        if redraw:
            return None
        seen = str(error).removesuffix("; run preprocess again")
        raise DarkroomError(
            f"{seen}. It tells where the images were: bring it back (`dvc checkout {file}`), or "
            "remove it to draw all splits anew; a model trained before may know the new test images"
        ) from None
    return splits


def find_past(rows: pd.DataFrame, earlier: pd.DataFrame | None) -> np.ndarray:
    """Return the position in SPLITS that each image had in an earlier run, OUT where it had none.

    An image is known by its bytes, or else by its pixels: metadata may have been taken out of the
    file or written into it since. One that was saved again under its name is known by its looks.

    Args:
        rows: of the manifest.
        earlier: what `assign_splits` returned then.
    """
    import pandas as pd

    past = np.full(len(rows), OUT)
    if earlier is None or earlier.empty:
        return past
    earlier = earlier.drop_duplicates("path")  # as it is, unless somebody else wrote it
    codes = earlier["split"].map({name: code for code, name in enumerate(SPLITS)}).fillna(OUT)
    was = codes.to_numpy(np.int64)
    free = np.ones(len(earlier), bool)  # nobody stands for them yet
    own = np.zeros(len(rows), bool)
    names = [name for name in ("sha256", "luma_sha256") if name in rows and name in earlier]
    place = pd.Index(earlier["path"]).get_indexer(rows["path"])  # -1: no such name
    for column in names:  # under its old name; it may itself have been left out
        digests = rows[column].fillna("").to_numpy(object)
        same = earlier[column].to_numpy(object)[place] == digests
        new = (place != OUT) & same & (digests != "") & ~own
        past[new], own[new] = was[place[new]], True
        free[place[new]] = False
    saved = _find_saved_again(rows, earlier, np.where(own, OUT, place))
    new = (saved != OUT) & ~own
    past[new], own[new] = was[saved[new]], True
    free[saved[new]] = False
    for column in names:  # under another name; beside one that kept its name it is a mere copy
        digests = earlier[column].fillna("")
        used = pd.DataFrame({"digest": digests.to_numpy(object), "was": was})[
            free & (was != OUT) & (digests != "").to_numpy()
        ]
        used = used.drop_duplicates()
        # Where published splits repeat a picture, it tells nothing.
        used = used[~used["digest"].duplicated(keep=False)]
        found = rows[column].map(dict(zip(used["digest"], used["was"], strict=True))).fillna(OUT)
        new = (found.to_numpy() != OUT) & ~own
        past[new], own[new] = found[new], True
    return past


def _find_saved_again(rows: pd.DataFrame, earlier: pd.DataFrame, old: np.ndarray) -> np.ndarray:
    """Return for each image the row of the earlier one of its name that looks like it, or OUT.

    Args:
        rows: of the manifest.
        earlier: what `assign_splits` returned then.
        old: (images,) row of the earlier one of its name, or OUT.
    """
    found = np.full(len(rows), OUT)
    if "phash" not in rows or "phash" not in earlier:
        return found
    texts = rows["phash"].fillna("").to_numpy(object)
    before = earlier["phash"].fillna("").to_numpy(object)
    hashed = np.flatnonzero((old != OUT) & (texts != ""))
    hashed = hashed[before[old[hashed]] != ""]
    pair = [
        np.array([int(text, 16) for text in side], np.uint64)
        for side in (texts[hashed], before[old[hashed]])
    ]
    alike = hashed[np.bitwise_count(pair[0] ^ pair[1]) <= SAVED_AGAIN_BITS]
    found[alike] = old[alike]
    return found


def find_gone(
    rows: pd.DataFrame, past: np.ndarray, earlier: pd.DataFrame | None, near_duplicate_bits: int
) -> np.ndarray:
    """Return where the removed originals of each image were, OUT where it repeats none.

    Where they were in several splits, train comes first: what a model has learnt tests none.
    """
    gone = np.full(len(rows), OUT)
    if earlier is None or not set(LOOKS) <= set(earlier) or "luma_sha256" not in rows:
        return gone
    still = rows[past != OUT]  # of some only the bytes are others now
    absent = earlier[
        earlier["split"].notna()
        & ~earlier["sha256"].isin(still["sha256"])
        & ~(earlier["luma_sha256"].isin(still["luma_sha256"]) & (earlier["luma_sha256"] != ""))
    ]
    if absent.empty:
        return gone
    import pandas as pd

    # Where pictures that are not the same have nearly the same hash, it says nothing of others.
    columns = [pd.concat([rows[c], absent[c]], ignore_index=True) for c in ("sha256", "phash")]
    looks = find_pictures(columns[0], columns[1].fillna(""), near_duplicate_bits)[1]
    present, picture = looks[: len(rows)], number_pictures(rows, near_duplicate_bits)
    shown = pd.Series(picture).groupby(present).transform("nunique").to_numpy()
    split = absent["split"].map(SPLITS.index).to_numpy(np.int64)
    first = np.full(int(looks.max(initial=0)) + 1, FREE)
    np.minimum.at(first, looks[len(rows) :], split)
    found = np.where(shown == 1, first[present], FREE)
    # An image that was left out for its like knows by name where that was.
    split_of = dict(zip(absent["group_id"], absent["split"].map(SPLITS.index), strict=True))
    left_out = earlier[earlier["split"].isna()].drop_duplicates("sha256").set_index("sha256")
    named = rows["sha256"].map(left_out["group_id"]).map(split_of)
    found = np.where(named.notna(), named.fillna(FREE), found).astype(np.int64)
    return np.where(found == FREE, OUT, found)


def find_mates(groups: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Return for each image the split that most of its group were in, OUT where none was in any.

    Args:
        groups: (images,) names, or empty.
        past: (images,) position in SPLITS, or OUT: those that do not count.
    """
    import pandas as pd

    code, names = pd.factorize(groups)
    counts = np.zeros((len(names), len(SPLITS)), np.int64)
    counted = (past != OUT) & (groups != "")
    np.add.at(counts, (code[counted], past[counted]), 1)
    # Of equally many the split whose images are the dearest: test, val, train.
    most = np.argmax(counts * len(SPLITS) - PRECEDENCE[: len(SPLITS)], axis=1)
    return np.asarray(np.where((counts.sum(axis=1) > 0)[code], most[code], OUT))


def may_keep(given: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Return which images may be where they were: a given split takes the others with it."""
    ungiven = ~np.isin(past, np.unique(given))
    fits = (given == FREE) | ((given == TRAIN) & (ungiven | (past == TRAIN)))
    return np.asarray((past != OUT) & fits)

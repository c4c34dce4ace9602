"""Keep images where an earlier run had put them, whatever was done to their files since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import BATCH, COLUMNS, LOOKS, read_splits
from components.common.errors import DarkroomError
from components.common.files.laid import ROWS
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
        needed = ("path", "sha256", "split")
        splits = read_splits(file, needed, laid=(*COLUMNS, *LOOKS, BATCH))
        unknown = sorted(set(splits["split"].dropna().unique()) - set(SPLITS))
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
    if earlier["path"].duplicated().any():  # somebody else wrote it
        earlier = earlier.drop_duplicates("path")
    codes = earlier["split"].map({name: code for code, name in enumerate(SPLITS)}).fillna(OUT)
    was = codes.to_numpy(np.int64)
    free = np.ones(len(earlier), bool)  # nobody stands for them yet
    own = np.zeros(len(rows), bool)
    names = [name for name in ("sha256", "luma_sha256") if name in rows and name in earlier]
    place = find_places(rows["path"], earlier["path"])
    for column in names:  # under its old name; it may itself have been left out
        new = find_same(rows[column], earlier[column], place) & ~own
        past[new], own[new] = was[place[new]], True
        free[place[new]] = False
    saved = _find_saved_again(rows, earlier, np.where(own, OUT, place))
    new = (saved != OUT) & ~own
    past[new], own[new] = was[saved[new]], True
    free[saved[new]] = False
    for column in names:  # under another name; beside one that kept its name it is a mere copy
        left = np.flatnonzero(free & (was != OUT))
        used = pd.DataFrame({"digest": earlier[column].iloc[left].to_numpy(object)})
        used["was"] = was[left]
        used = used[used["digest"].notna() & (used["digest"] != "")].drop_duplicates()
        # Where published splits repeat a picture, it tells nothing.
        used = used[~used["digest"].duplicated(keep=False)]
        found = rows[column].map(dict(zip(used["digest"], used["was"], strict=True))).fillna(OUT)
        new = (found.to_numpy() != OUT) & ~own
        past[new], own[new] = found[new], True
    return past


def find_places(names: pd.Series, known: pd.Series) -> np.ndarray:
    """Return where each name is among those that are known, OUT where it is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    found = pc.index_in(pa.array(names, kind), value_set=pa.array(known, kind))
    return np.asarray(pc.fill_null(found, OUT).to_numpy(), np.int64)


def find_same(values: pd.Series, known: pd.Series, places: np.ndarray) -> np.ndarray:
    """Return which values, none of them empty, are the known ones at their places, OUT: nowhere."""
    same = np.zeros(len(values), bool)
    there = np.flatnonzero(places != OUT)
    for start in range(0, len(there), ROWS):
        part = there[start : start + ROWS]
        own, other = (
            side.fillna("").to_numpy(object)
            for side in (values.iloc[part], known.iloc[places[part]])
        )
        same[part] = (own == other) & (own != "")
    return same


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
    known = np.flatnonzero(old != OUT)
    for start in range(0, len(known), ROWS):
        part = known[start : start + ROWS]
        now, before = (
            side.fillna("").to_numpy(object)
            for side in (rows["phash"].iloc[part], earlier["phash"].iloc[old[part]])
        )
        hashed = np.flatnonzero((now != "") & (before != ""))
        pair = [
            np.array([int(text, 16) for text in side[hashed]], np.uint64) for side in (now, before)
        ]
        alike = part[hashed[np.bitwise_count(pair[0] ^ pair[1]) <= SAVED_AGAIN_BITS]]
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
    still = past != OUT  # of some only the bytes are others now
    absent = earlier["split"].notna()
    for name in ("sha256", "luma_sha256"):
        absent &= (earlier[name] == "") | ~earlier[name].isin(rows[name][still])
    absent = earlier[absent]
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

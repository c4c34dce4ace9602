"""See that each class has images in train, val and test, where the draw left it without.

A class of six images draws no test image in four cases of ten. Then the unit (what stays together:
a group, or near-duplicates) whose draw comes nearest is put there. That is a choice between two
goods: who looks at the other images of a class cannot promise that added ones move none. So it is
done only for classes that want it, with as few units as possible, and never with an image that an
earlier run had put elsewhere: once splits.parquet holds it, it stays like all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.preprocess.splits.conflicts import FREE, TEST, TRAIN, VAL
from components.preprocess.splits.history import find_past, may_keep
from components.preprocess.splits.reasons import FILLED, STAYS
from components.preprocess.splits.splits import draw_rows, read_given, sort_rows

if TYPE_CHECKING:
    import pandas as pd

ORDER = (TRAIN, TEST, VAL)  # without train nothing is learnt, without test nothing is known


def fill_classes(
    splits: pd.DataFrame,
    images: pd.DataFrame,
    *,
    assign: Callable[[pd.DataFrame], pd.DataFrame],
    val_fraction: float,
    test_fraction: float,
    earlier: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the splits where each class of three units or more has one in each.

    A class of fewer has one in train at least. Given splits and those of an earlier run stay.

    Args:
        splits: what `assign_splits` returned.
        images: the rows of the manifest that it was given.
        assign: the same function, given what it returned earlier.
        val_fraction: share of the images for validation.
        test_fraction: share of the images for the test.
        earlier: splits of an earlier run.
    """
    used = splits[["group_id", "label", "split"]][splits["split"].notna()].drop_duplicates()
    counts = used.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    total = counts.sum(axis=1)
    poor = ((total > 2) & (counts.min(axis=1) == 0)) | (counts["train"] == 0)
    if not poor.any():
        return splits
    wanted = used.loc[used["label"].isin(poor.index[poor]), ["group_id", "label"]]
    members = wanted.groupby("label")["group_id"].agg(lambda names: sorted(set(names)))
    rows = sort_rows(images)
    units = _list_units(splits, rows, earlier, set(wanted["group_id"]))
    state = _State(units, dict(zip(counts.index, counts.to_numpy(copy=True), strict=True)))
    bounds = {
        TEST: (0.0, test_fraction),
        VAL: (test_fraction, test_fraction + val_fraction),
        TRAIN: (test_fraction + val_fraction, 1.0),
    }
    for label in total[poor].sort_values(kind="stable").index:
        for split in ORDER:
            if state.counts[label][split] == 0 and (split == TRAIN or total[label] > 2):
                state.fill(label, split, members[label], bounds[split])
    if not state.moved:
        return splits
    filled = _write(splits, state.moved)
    # A copy that yielded to an image which is moved may be welcome now, as a later run would find.
    found = assign(filled)
    same = (found["split"] == filled["split"]).fillna(value=False)
    found["why"] = found["why"].where(~same, filled["why"])
    return found


def keep_reasons(splits: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    """Return the splits where images that were put into theirs for a class go on to say so.

    So a second run on the same images writes the very file of the first.

    Args:
        splits: path, sha256, split, why.
        earlier: splits of an earlier run.
    """
    if earlier is None or "why" not in earlier:
        return splits
    names = ["path", "sha256", "split", "why"]
    before = earlier[earlier["why"].str.contains(FILLED, regex=False, na=False)]
    said = {tuple(one): why.partition(FILLED)[2] for *one, why in before[names].to_numpy(object)}
    if not said:
        return splits
    why = [
        f"{now.removeprefix(f'{STAYS}; ')}{FILLED}{said[tuple(one)]}"
        if tuple(one) in said and FILLED not in now
        else now
        for *one, now in splits[names].to_numpy(object)
    ]
    return splits.assign(why=why)


class _State:
    """Where the units are, while some are moved."""

    def __init__(self, units: pd.DataFrame, counts: dict[str, np.ndarray]) -> None:
        self.units = units.to_dict("index")
        self.counts = counts  # class → units in each split
        self.moved: dict[str, tuple[int, str]] = {}  # unit → its new split, for which class

    def fill(self, label: str, split: int, members: list[str], bounds: tuple[float, float]) -> None:
        """Move one of a class's units into a split, if one may be moved."""
        low, high = bounds

        def distance(name: str) -> tuple[float, str]:
            draw = self.units[name]["draw"]
            return max(low - draw, draw - high, 0.0), name

        for name in sorted(members, key=distance):
            unit = self.units[name]
            source = unit["split"]
            # Where it was it must not be missed; a class without training images comes first.
            spared = all(
                self.counts[other][source] > 1 or (split == TRAIN and other == label)
                for other in unit["labels"]
            )
            if spared and unit["movable"] and split in unit["open"]:
                for other in unit["labels"]:
                    self.counts[other][source] -= 1
                    self.counts[other][split] += 1
                unit["split"] = split
                self.moved[name] = split, label
                return


def _list_units(
    splits: pd.DataFrame, rows: pd.DataFrame, earlier: pd.DataFrame | None, names: set[str]
) -> pd.DataFrame:
    """Return some units by name: split, labels, draw, whether they may move, and where to."""
    import pandas as pd

    given = read_given(rows["split"].fillna(""))
    fixed = may_keep(given, find_past(rows, earlier))
    ungiven = frozenset(range(len(SPLITS))) - set(given.tolist())
    everywhere, nowhere = frozenset(range(len(SPLITS))), frozenset[int]()
    choices = {FREE: everywhere, TRAIN: ungiven | {TRAIN} if ungiven else nowhere}
    table = pd.DataFrame(
        {
            "unit": splits["group_id"],
            "label": splits["label"],
            "split": splits["split"].map(dict(zip(SPLITS, range(len(SPLITS)), strict=True))),
            "draw": draw_rows(rows),
            "movable": ~fixed & np.isin(given, (FREE, TRAIN)),
            "given": given,
        }
    )[(splits["split"].notna() & splits["group_id"].isin(names)).to_numpy()]
    units = table.groupby("unit").agg(
        split=("split", "first"),
        parts=("split", "nunique"),
        labels=("label", lambda column: tuple(sorted(set(column)))),
        draw=("draw", "min"),
        movable=("movable", "all"),
        given=("given", frozenset),
    )
    units["split"] = units["split"].astype(int)
    units["movable"] &= units["parts"] == 1  # given splits may part it
    units["open"] = [
        frozenset.intersection(*(choices.get(code, nowhere) for code in codes))
        for codes in units["given"]
    ]
    return units.drop(columns=["parts", "given"])


def _write(splits: pd.DataFrame, moved: dict[str, tuple[int, str]]) -> pd.DataFrame:
    splits = splits.copy()
    unit = splits["group_id"]
    kept = unit.isin(moved) & splits["split"].notna()
    new = [(SPLITS[split], label) for split, label in map(moved.__getitem__, unit[kept])]
    was = splits.loc[kept, "split"]
    splits.loc[kept, "why"] = [
        f"{why}{FILLED}{label} had none there" if split != old else why
        for why, old, (split, label) in zip(splits.loc[kept, "why"], was, new, strict=True)
    ]
    splits.loc[kept, "split"] = [split for split, _ in new]
    return splits

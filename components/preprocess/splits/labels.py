"""The same file under two labels: one of them is wrong, and nobody but its owner knows which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from components.common.artifacts.manifest import SPLITS
from components.common.artifacts.splits import LOOKS
from components.preprocess.splits.conflicts import PRECEDENCE
from components.preprocess.splits.reasons import TWO_LABELS
from components.preprocess.splits.splits import sort_rows

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5


def find_two_labels(images: pd.DataFrame) -> np.ndarray:
    """Return which images have the bytes of another one that has another label."""
    twice = images["sha256"].duplicated(keep=False).to_numpy(bool)
    found = np.zeros(len(images), bool)
    if twice.any():  # of few, as a rule
        twins = images[["sha256", "label"]][twice]
        found[twice] = twins.groupby("sha256")["label"].transform("nunique") > 1
    return found


def add_left_out(splits: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the splits with images of two labels added, in no split.

    Args:
        splits: of all other images.
        images: rows of the manifest, each with a twin of another label among them.
    """
    import pandas as pd

    if images.empty:
        return splits
    rows = sort_rows(images)
    added = rows[["path", "label", "sha256"]].assign(
        group_id=rows["sha256"].str[:16],
        split=pd.Series([None] * len(rows), dtype="str"),
        why=_name_twins(rows),
        **{name: rows[name].fillna("") if name in rows else "" for name in LOOKS},
    )
    whole = pd.concat([splits, added[splits.columns]], ignore_index=True)
    whole.attrs = splits.attrs
    return sort_rows(whole)


def keep_together(splits: pd.DataFrame) -> pd.DataFrame:
    """Return the splits where no file of two labels is in two splits, as given ones may have it.

    Those of the first of test, val, train stay.
    """
    import pandas as pd

    splits = splits.copy()
    used = splits["split"].notna() & find_two_labels(splits)
    order = splits["split"][used].map(SPLITS.index).map(pd.Series(PRECEDENCE)).astype(int)
    first = order.groupby(splits["sha256"][used]).transform("min")
    away = order.index[order > first]
    if len(away):
        stays = splits.loc[order.index[order == first]].groupby("sha256").first()
        there = stays.loc[splits.loc[away, "sha256"]]
        splits.loc[away, "why"] = [
            f"{TWO_LABELS}{path}, which is labelled {label} and in {split}"
            for path, label, split in there[["path", "label", "split"]].to_numpy(object)
        ]
        splits.loc[away, "split"] = None
    return splits


def describe_two_labels(splits: pd.DataFrame) -> Iterator[str]:
    """Yield what a person should know of files that have two labels."""
    twins = splits[["path", "sha256", "split"]][find_two_labels(splits)]
    if twins.empty:
        return
    paths = list(twins.groupby("sha256", sort=False)["path"].agg(_join))
    more = f" and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else ""
    named = f"{', '.join(paths[:SHOWN])}{more}"
    out = twins["split"].isna().sum()
    pictures = f"{len(paths):,} picture{'' if len(paths) == 1 else 's'}"
    if out == len(twins):
        yield (
            f"warning: {out:,} files left out, {pictures} under two labels: {named}; "
            "remove the wrong ones, or set preprocess.two_labels to keep"
        )
    else:
        yield f"warning: kept under two labels: {pictures}, {named}"


def _join(paths: pd.Series) -> str:
    more = f" and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else ""
    return " = ".join(paths[:SHOWN]) + more


def _name_twins(rows: pd.DataFrame) -> list[str]:
    """Return for each of some images, all of which have one, its twin of another label."""
    twins = {
        digest: list(zip(g["path"], g["label"], strict=True))
        for digest, g in rows.groupby("sha256")
    }
    words = []
    for digest, label in rows[["sha256", "label"]].to_numpy(object):
        path, other = next(twin for twin in twins[digest] if twin[1] != label)
        words.append(f"{TWO_LABELS}{path}, which is labelled {other}")
    return words

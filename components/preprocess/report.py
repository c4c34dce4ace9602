"""Say what the splits hold, and refuse splits that nothing can be learned from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from components.common.artifacts.manifest import SPLITS
from components.common.errors import DarkroomError
from components.common.terminal import count_of
from components.preprocess.splits.reasons import ALONE, ALSO, COPY, FILLED, OUT_WORDS, PARTED

SHOWN = 5  # names in a message


def check_splits(splits: pd.DataFrame, class_names: list[str]) -> None:
    """Raise DarkroomError where a split is empty, or a class has no image to train on.

    Images are not moved to mend it: that would undo the promise that no image ever moves.
    """
    counts = count_images(splits, class_names)
    for name in SPLITS:
        if counts[name].sum() == 0:
            raise DarkroomError(f"no image falls into {name}: {_explain_empty(splits, name)}")
    untrained = counts.index[counts["train"] == 0]
    if len(untrained):
        away = splits["label"].isin(untrained) & splits["split"].isna()
        raise DarkroomError(
            f"no image to train on of class {_join(untrained)}"
            f"{f' ({away.sum():,} are left out, see column `why`)' if away.any() else ''}; add "
            "images of it, give their splits in metadata.csv, or take the class out"
        )


def _explain_empty(splits: pd.DataFrame, name: str) -> str:
    """Return why a split is empty, and what to do: too few images, too few groups, or left out."""
    away = splits.loc[splits["why"].str.contains(f"{ALONE}{name}: ", regex=False), "why"]
    away = away[away.str.startswith(OUT_WORDS)]
    if len(away):
        first = away.iloc[0].partition("; ")[0].removeprefix(OUT_WORDS)
        return (
            f"its {count_of(len(away), 'image is', 'images are')} left out, since copies of them, "
            f"or images of their groups, are in another split ({first}); "
            "add images, mend groups or given splits, or set preprocess.leakage to warn"
        )
    images = splits[splits["split"].notna()]
    units = images["group_id"].nunique()
    what = f"{len(images):,} images"
    if units < len(images):
        what += f" that form {units:,} group{'' if units == 1 else 's'}, which no split may part,"
    return (
        f"{what} are too few for it; add images, or give their splits in metadata.csv or in "
        "folders train, val and test"
    )


def count_images(splits: pd.DataFrame, class_names: list[str]) -> pd.DataFrame:
    """Return the number of images, a row a class and a column a split."""
    counts = pd.crosstab(splits["label"], splits["split"])
    return counts.reindex(index=class_names, columns=list(SPLITS), fill_value=0)


def describe_splits(
    splits: pd.DataFrame,
    class_names: list[str],
    images: pd.DataFrame,
    *,
    val_fraction: float,
    test_fraction: float,
) -> Iterator[str]:
    """Yield the findings that a person should see.

    Args:
        splits: table of splits.parquet.
        class_names: of the splits.
        images: rows of the manifest, sorted by path as the splits are.
        val_fraction: share of the images for validation that was asked for.
        test_fraction: share of the images for the test that was asked for.
    """
    counts = count_images(splits, class_names)
    totals = counts.sum()
    used = totals.sum()
    shares = ", ".join(f"{name} {totals[name]:,} ({totals[name] / used:.1%})" for name in SPLITS)
    yield f"{used:,} images of {len(class_names)} classes: {shares}"
    given = images["split"].fillna("").astype(str)
    asked = {"val": val_fraction, "test": test_fraction}
    drawn = {name: share for name, share in asked.items() if not (given == name).any()}
    # A split that is not given comes out of train, and of what is in none.
    of = " that no other split is given" if len(drawn) == 1 else ""
    yield from _find_odd_shares(splits, given.isin(["", "train"]).to_numpy(bool), drawn, of)
    for name in ("val", "test"):
        absent = counts.index[counts[name] == 0]
        if len(absent):
            yield f"warning: {name} holds no image of class {_join(absent)}; add images of it"
    why = splits["why"]
    filled = why.str.contains(FILLED, regex=False) & splits["split"].notna()
    if filled.any():
        yield (
            f"{filled.sum():,} images of {splits['label'][filled].nunique():,} small classes put "
            "where the draw had left their class without any (column `why`); splits.parquet keeps "
            "them there"
        )
    yield from _find_parted_groups(splits, images["group"].fillna("").astype(str))
    copies = (why.str.startswith(COPY) & splits["split"].isna()).sum()
    if copies:
        yield (
            f"{count_of(copies, 'near-duplicate')} left out, so as not to leak into another split "
            "(column `why`); a `group` column in metadata.csv keeps pictures of a series together"
        )
    leaking = (why.str.contains(ALSO, regex=False) & splits["split"].notna()).sum()
    if leaking:
        yield (
            f"warning: {count_of(leaking, 'image')} of given splits like an image of another one; "
            "preprocess.leakage: exclude leaves them out of train"
        )


def _find_parted_groups(splits: pd.DataFrame, groups: pd.Series) -> Iterator[str]:
    """Yield which groups are in several splits, and which lost images so that they are not."""
    used = splits["split"].notna() & (groups != "")
    places = pd.crosstab(groups[used], splits["split"][used])
    parted = places[(places > 0).sum(axis=1) > 1]
    if len(parted):
        named = [
            f"{name} ({', '.join(f'{split} {n}' for split, n in row.items() if n)})"
            for name, row in parted.reindex(columns=list(SPLITS), fill_value=0)[:SHOWN].iterrows()
        ]
        more = f" and {len(parted) - SHOWN:,} more" if len(parted) > SHOWN else ""
        yield (
            f"warning: {count_of(len(parted), 'group lies', 'groups lie')} in more than one given "
            f"split: {', '.join(named)}{more}; preprocess.leakage: exclude leaves them out of train"
        )
    lost = groups[splits["why"].str.startswith(PARTED) & splits["split"].isna()].value_counts()
    if len(lost):
        named = [f"{name} ({count:,})" for name, count in lost[:SHOWN].items()]
        more = f" and {len(lost) - SHOWN:,} more" if len(lost) > SHOWN else ""
        yield (
            f"{count_of(lost.sum(), 'image')} left out, because the rest of their group is in "
            f"another split: {', '.join(named)}{more}; give all images of a group one split in "
            "metadata.csv, or remove splits.parquet if groups are new and all may be drawn anew"
        )


def _find_odd_shares(
    splits: pd.DataFrame, among: np.ndarray, asked: dict[str, float], below: str
) -> Iterator[str]:
    """Yield which splits are far from the shares that were asked for, beyond luck; of what."""
    is_used = splits["split"].notna().to_numpy(bool) & among
    unit, split = splits["group_id"][is_used], splits["split"][is_used]
    units = unit.nunique()
    is_filled = splits["why"].str.contains(FILLED, regex=False)[is_used]
    for name, share in asked.items():
        is_here = split == name
        found = is_here.mean()
        # A fifth more or less is no matter; of few units a share is luck.
        if abs(found - share) > 0.2 * share + 3 * (share * (1 - share) / max(1, units)) ** 0.5:
            filled = (is_here & is_filled).sum()
            largest = unit.value_counts().iloc[0]
            why = f"of {units:,} groups the largest has {largest:,} images, and a group stays "
            why += "together"
            if 2 * filled > is_here.sum() - share * len(unit) > 0:
                why = f"{filled:,} of them were put there, since their classes had none there"
            yield (
                f"warning: {name} holds {found:.1%} of the images{below}, {share:.1%} were asked "
                f"for; {why}"
            )


def _join(names: pd.Index) -> str:
    shown = ", ".join(str(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown

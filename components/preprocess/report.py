"""Say what the splits hold, and refuse splits that nothing can be learned from."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from components.common.artifacts.manifest import SPLITS
from components.common.errors import DarkroomError


def check_splits(splits: pd.DataFrame, class_names: list[str]) -> None:
    """Raise DarkroomError where a split is empty, or a class has no image to train on.

    Images are not moved to mend it: that would undo the promise that no image ever moves.
    """
    counts = count_images(splits, class_names)
    for name in SPLITS:
        if counts[name].sum() == 0:
            raise DarkroomError(
                f"no image falls into {name}: {counts.sum().sum():,} images are too few for it; "
                "add images, or give their splits in metadata.csv or in folders train, val and test"
            )
    untrained = counts.index[counts["train"] == 0]
    if len(untrained):
        raise DarkroomError(
            f"no image to train on of class {_join(untrained)}; add images of it, give their "
            "splits in metadata.csv, or take the class out"
        )


def count_images(splits: pd.DataFrame, class_names: list[str]) -> pd.DataFrame:
    """Return the number of images, a row a class and a column a split."""
    counts = pd.crosstab(splits["label"], splits["split"])
    return counts.reindex(index=class_names, columns=list(SPLITS), fill_value=0)


def describe_splits(splits: pd.DataFrame, class_names: list[str]) -> Iterator[str]:
    """Yield the findings that a person should see."""
    counts = count_images(splits, class_names)
    totals = counts.sum()
    used = totals.sum()
    shares = ", ".join(f"{name} {totals[name]:,} ({totals[name] / used:.1%})" for name in SPLITS)
    yield f"{used:,} images of {len(class_names)} classes: {shares}"
    for name in ("val", "test"):
        absent = counts.index[counts[name] == 0]
        if len(absent):
            yield f"warning: {name} holds no image of class {_join(absent)}; add images of it"
    left_out = splits["split"].isna().sum()
    if left_out:
        yield (
            f"{left_out:,} near-duplicates left out, so that they do not leak into another split "
            "(column `why`); a `group` column in metadata.csv keeps pictures of a series together"
        )
    told = splits["why"].str.contains("; near-duplicate of ", regex=False)
    leaking = (told & splits["split"].notna()).sum()
    if leaking:
        yield (
            f"warning: {leaking:,} images of given splits nearly repeat an image of another one; "
            "preprocess.leakage: exclude leaves them out of train"
        )


def _join(names: pd.Index) -> str:
    shown = ", ".join(str(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown

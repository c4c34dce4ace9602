"""What a column of splits says: their names, yes and no, or what the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.words import TEST, TRAIN, VAL, name_split, name_splits, plain

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 20  # values of a column that may be splits; more are something else
# Of yes and no, as fastai writes it; what a no of is_train is, test or val, nobody knows.
FLAGS = dict.fromkeys(("isvalid", "isval", "isvalidation"), VAL) | {"istest": TEST}
YES, NO = {"1", "1.0", "true", "x", "yes", "y"}, {"0", "0.0", "false", "no", "n", "-1", "-1.0", ""}


def suggest_splits(values: Iterable[str], is_train: bool = False) -> str:
    """Return the setting that says of values which split each is, a guess to be looked at.

    Args:
        values: of a column of splits.
        is_train: whether it says yes of what is to train on.
    """
    texts = sorted(set(values) - {""}, key=lambda text: (len(text), text))
    if is_train:
        meant = {text: TRAIN if text.lower() in YES else TEST for text in texts}
    elif len(texts) < 3:
        meant = dict(zip(texts, (TRAIN, TEST), strict=False))
    else:  # of folds the last but one is val, the last is test
        meant = dict.fromkeys(texts, TRAIN) | {texts[-2]: VAL, texts[-1]: TEST}
    return f"`splits: {{{', '.join(f'{text!r}: {split}' for text, split in meant.items())}}}`"


def read_flag(name: str, column: pd.Series) -> pd.Series:
    """Return the splits that a column is_valid or is_test says; another as it is."""
    if plain(name) not in FLAGS:
        return column
    return column.map(
        lambda text: FLAGS[plain(name)] if text.lower() in YES else TRAIN if text else ""
    )


def read_splits(file: Path, column: pd.Series, told: Mapping[str, str], name: str) -> pd.Series:
    """Return train, val or test for whatever names people use, or for what the settings say."""
    values = set(column) - {""}
    together = name_splits(values)  # PublicTest is val where there is a PrivateTest
    meant: Mapping[str, str] = {
        value: told.get(value) or together.get(value) or name_split(value) for value in values
    }
    unknown = sorted(value for value, split in meant.items() if not split)
    if unknown:
        few = len(values) <= FOLDS
        line = f"`split_column: {name}` and {suggest_splits(values)} say which is which in section "
        raise DarkroomError(
            f"{file}: split {unknown[0]!r} is none; legal are train, val and test, or another of "
            "their usual names, such as Training, valid, holdout; "
            + (f"{line}validate.layout; " if few else "write one of these there, ")
            + "or rename the column if it tells of something else"
        )
    return column.map(lambda value: meant.get(value, ""))

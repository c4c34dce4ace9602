"""Lists of given splits beside class folders, or beside a table that names no splits.

    train.txt   cat/1.jpg      meta/test.txt   cat/7      ImageSets/Main/val.txt   000012
    split.json  {"train": ["cat/1.jpg"], "test": ["cat/7.jpg"]}

Those of public data sets that have a form of their own are in `public.py`.
Read where neither folders nor tables say of any image in which split it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.tree import last_name
from components.validate.folders.words import (
    NEUTRAL,
    SPLIT_WORDS,
    TEST,
    TRAIN,
    VAL,
    is_side_folder,
    name_splits,
    split_words,
)
from components.validate.layouts.choosing import COVERED, Seen, keep_splits, refuse_differing
from components.validate.layouts.public import (
    BIRDS,
    CELEBA,
    Images,
    read_birds,
    read_partitions,
)
from components.validate.layouts.table import list_above
from components.validate.tables.sheets import Found, Sheet, read_rows

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = {"split", "splits", "list", "lists", "imagesets", "main", "partition", "partitions"}
SUFFIXES = ("txt", "lst", "csv", "tsv", "json", "jsonl")
WHOLE = ("split", "splits", "partition", "partitions", "train_test")  # in the name of a single one
SECTION = "in section validate.layout"


def read_lists(seen: Seen, files: pd.DataFrame) -> list[Sheet]:
    """Return the lists that say of images in which split they are, a list a split, or one of all.

    Args:
        seen: the folder; its notes receive what is read, and what is not though it is so named.
        files: columns path, label, split, as far as folders and tables say them.
    """
    if (files["split"] != "").any() or seen.places.splits or seen.told.splits == "none":
        return []
    paths = list(files["path"])
    labelled = set(files.loc[files["label"] != "", "path"])
    images = Images(seen.folder, paths, seen.places.base)
    for names in _find_named(seen):
        lists = _choose(list(names))
        if names.keys() >= set(BIRDS):
            found = [names[BIRDS[1]]]
            sheets = [_keep_told(read_birds(images, names), paths)]
        elif CELEBA in names:
            found = [names[CELEBA]]
            sheets = [_keep_told(read_partitions(images, names[CELEBA]), paths)]
        else:
            wholes = [stem for stem in names if any(w in stem.lower() for w in WHOLE)]
            lists = lists or dict.fromkeys(wholes[:1], "")
            found = [names[stem] for stem in lists]
            sheets = [_read(seen, names[stem], split, paths) for stem, split in lists.items()]
        if not found:
            continue
        told = [sheet for sheet in sheets if sheet is not None]
        if told and all(path.endswith(".json") for path in found) and seen.told.table == "auto":
            own = files.set_index("path")["label"]
            refuse_differing(seen, [_read_classes(seen, one.found, paths) for one in told], own)
        named = [path for sheet in told for path in sheet.rows["path"]]
        if any(len(sheet.rows) and not labelled & set(sheet.rows["path"]) for sheet in told):
            continue  # test.csv of images without labels is no split
        twice = len(named) - len(set(named))
        shown = ", ".join(found)
        if len(told) < len(sheets) or twice:
            why = f"{twice:,} images stand in two of them" if twice else "few lines are files"
            seen.notes.append(
                f"{shown}: named as {'a list' if len(found) == 1 else 'lists'} of given splits, "
                f"and not read for them, since {why}: preprocess draws its own. To keep theirs, "
                "write one table with columns path and split beside the images, and name it, as in "
                f"`table: splits.csv` {SECTION}"
            )
            continue
        splits = [split for sheet in told for split in sheet.rows["split"]]
        words = ", ".join(f"{splits.count(s):,} {s}" for s in (TRAIN, VAL, TEST) if s in splits)
        rest = len(paths) - len(named)
        more = f"; {rest:,} images are in none, and preprocess draws their split" if rest else ""
        seen.notes.append(
            f"splits from {shown}: {words}{more}; `splits: none` {SECTION} draws others"
        )
        return told
    return []


def _find_named(seen: Seen) -> list[dict[str, str]]:
    """Return what may be lists, stem → file: a dictionary a folder, and a kind of name in it."""
    outer = ("/", *list_above(seen.places.base))
    kinds: dict[tuple[str, ...], dict[str, str]] = {}
    for path in seen.listing.tables:
        above, _, name = path.rpartition("/")
        stem, _, suffix = name.rpartition(".")
        is_near = f"{above}/" in outer or FOLDERS & {*split_words(last_name(above))}
        if suffix.lower() not in SUFFIXES or not (is_near or is_side_folder(last_name(above))):
            continue
        words = [w for w in split_words(stem) if w not in SPLIT_WORDS]
        rest = [w for w in words if w not in NEUTRAL | FOLDERS]
        # cat_train.txt of VOC lists what a cat is in: plain names first. Of train1.txt, test1.txt,
        # train2.txt …, splits drawn several times, the first.
        numbers = re.findall(r"\d+", stem)
        kinds.setdefault((above, "_".join(rest), "_".join(numbers)), {})[stem] = path
    return [kinds[key] for key in sorted(kinds)]


def _choose(stems: Sequence[str]) -> dict[str, str]:
    """Return stem → split where the stems name train and another split; else nothing."""
    named = name_splits(stems)
    splits = set(named.values())
    if TRAIN not in splits or len(splits) < 2:
        return {}
    both = [stem for stem in named if "trainval" in split_words(stem)]
    if any(named[stem] == TRAIN and stem not in both for stem in named):
        named = {stem: split for stem, split in named.items() if stem not in both}
    return dict(sorted(named.items()))


def _read(seen: Seen, path: str, split: str, paths: Sequence[str]) -> Sheet | None:
    """Return a list of files, or None if few of its lines are such."""
    try:
        found = Found(path, below=seen.places.base, split=split)
        sheet = read_rows(seen.folder, found, paths, seen.told, has_labels=True)
    except DarkroomError:
        return None
    return _keep(sheet, paths)


def _read_classes(seen: Seen, found: Found, paths: Sequence[str]) -> Sheet:
    """Return a list with what it says of classes, as the JSON of a split in COCO's form does."""
    return read_rows(seen.folder, found, paths, seen.told, has_labels=False)


def _keep_told(sheet: Sheet | None, paths: Sequence[str]) -> Sheet | None:
    return sheet and _keep(sheet, paths)


def _keep(sheet: Sheet, paths: Sequence[str]) -> Sheet | None:
    kept = keep_splits(sheet)
    kept.rows = kept.rows[kept.rows["path"].isin(set(paths)) & (kept.rows["split"] != "")]
    return kept if sheet.named and len(kept.rows) >= COVERED * sheet.named else None

"""A table in the folder: ``metadata.csv`` (.tsv, .parquet, .jsonl, .json), or one named in params.

    metadata.csv      path,label,split,group,camera
    photos/1.jpg      photos/1.jpg,cat,train,patient-7,phone

What it says of label, split and group goes before what the folders say; every further column is a
slice column. An image without a row keeps what its folder says. A row whose file is not there
becomes a row of the manifest, in quarantine.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.images.listing import open_images
from components.validate.folders.listing import Listing
from components.validate.folders.tree import last_name
from components.validate.folders.words import SPLIT_WORDS, TRAIN, sounds_like_split, split_words
from components.validate.tables.sheets import Found

KINDS = (".csv", ".parquet", ".tsv", ".jsonl", ".json")
NAMES = tuple(f"metadata{kind}" for kind in KINDS)


def find_table(folder: Path, listing: Listing, named: str, base: str) -> list[Found]:
    """Return the table that the settings name, or `metadata.*` at the top.

    Args:
        folder: folder of images, for messages.
        listing: what lies in it.
        named: setting `table`: auto, none, or a path in the folder.
        base: the folder that is read as the top, with `/`.
    """
    if named == "none":
        return []
    if named != "auto":
        path = named.removeprefix("./")
        if "*" in path and (several := _find_several(listing, path, base)):
            return several
        if path in listing.tables or open_images(folder, [path]).has(path):
            return [Found(path, below=path[: path.rfind("/") + 1], by="table")]
        here = ", ".join(listing.tables[:8]) or "none"
        raise DarkroomError(
            f"{folder}: validate.layout.table is {named!r}, and no such file is in it; the tables "
            f"in it are: {here}"
        )
    places = {"", *list_above(base)}
    found = [path for path in listing.tables if _is_named(path) and _above(path) in places]
    if len(found) > 1:
        raise DarkroomError(f"{folder}: has both {' and '.join(sorted(found)[:2])}; keep one")
    return [Found(path, below=_above(path), by="table") for path in found]


def _find_several(listing: Listing, pattern: str, base: str) -> list[Found]:
    """Return the tables of a pattern, `images_variant_*.txt`, each of the split in its name."""
    paths = [path for path in listing.tables if fnmatch.fnmatchcase(path, pattern)]
    splits = {path: sounds_like_split(last_name(path)) for path in paths}
    both = [path for path in paths if "trainval" in split_words(last_name(path))]
    if any(split == TRAIN and path not in both for path, split in splits.items()):
        paths = [path for path in paths if path not in both]  # it names those of train again
    return [Found(path, below=base, split=splits[path], by="table") for path in paths]


def suggest_tables(paths: Sequence[str]) -> str:
    """Return the setting that names some tables: a pattern where they are one a split."""
    for path in paths:
        head, _, name = path.rpartition("/")
        words = {word for word in split_words(name) if word in SPLIT_WORDS}
        pattern = name
        for word in words:
            pattern = re.sub(re.escape(word), "*", pattern, count=1, flags=re.IGNORECASE)
        pattern = f"{head}/{pattern}" if head else pattern
        if "*" in pattern and sum(fnmatch.fnmatchcase(other, pattern) for other in paths) > 1:
            return f"`table: '{pattern}'`"
    return f"`table: {paths[0]}`"


def list_above(base: str) -> list[str]:
    """Return the folders `a/`, `a/b/` of a folder `a/b/`."""
    return [base[: i + 1] for i, letter in enumerate(base) if letter == "/"]


def _is_named(path: str) -> bool:
    return path.rsplit("/", 1)[-1].lower() in NAMES


def _above(path: str) -> str:
    return path[: path.rfind("/") + 1]

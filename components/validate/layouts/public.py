"""Lists of public data sets that have a form of their own.

images.txt   1 cat/1.jpg      train_test_split.txt   1 0        Caltech's birds: 1 is train
             2 dog7.jpg       image_class_labels.txt 2 3        and classes.txt: 3 dog
list_eval_partition.txt       000001.jpg 0                      CelebA: 0 train, 1 val, 2 test
ImageSets/Main/cat_train.txt  000012 -1                         Pascal VOC: 1 has one in it
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.common.images.listing import open_images
from components.validate.folders.tree import last_name
from components.validate.folders.words import TEST, TRAIN, VAL
from components.validate.tables.matching import clean, match_rows
from components.validate.tables.objects import SEVERAL
from components.validate.tables.sheets import Found, Sheet

if TYPE_CHECKING:
    from pathlib import Path

    from components.validate.folders.listing import Listing

BIRDS = ("images", "train_test_split")
BIRD_CLASSES = "image_class_labels.txt"
CELEBA, PARTITIONS = "list_eval_partition", {"0": TRAIN, "1": VAL, "2": TEST}
VOC = re.compile(r"(?P<above>(.*/)?Main/)(?P<label>.+)_(train|val|trainval|test)\.txt")
MARKS = {"-1", "0", "1"}  # none in the picture; one that is hard to see; one


@dataclass(frozen=True)
class Images:
    """The files that lists may name."""

    folder: Path
    paths: Sequence[str]
    base: str  # the folder that is read as the top


def read_birds(images: Images, names: Mapping[str, str]) -> Sheet | None:
    """Return what two lists of numbers say, of which the first names the files."""
    parts = [names[stem] for stem in BIRDS]
    files, flags = (dict(_read_pairs(images, [part])[part]) for part in parts)
    if not files.keys() & flags.keys() or not set(flags.values()) <= {"0", "1"}:
        return None
    meant = {"1": TRAIN, "0": TEST}
    splits = {file: meant.get(flags.get(key, ""), "") for key, file in files.items()}
    return _make_sheet(images, parts[1], splits, "split")


def read_bird_classes(images: Images, listing: Listing) -> Sheet | None:
    """Return what lists of numbers say of the classes of images that lie in one folder."""
    tables = set(listing.tables)
    for path in listing.tables:
        above = path.removesuffix(BIRD_CLASSES)
        files, names = above + "images.txt", above + "classes.txt"
        if path == above or last_name(path) != BIRD_CLASSES or files not in tables:
            continue
        parts = _read_pairs(images, [one for one in (files, path, names) if one in tables])
        called, numbers = dict(parts.get(names, ())), dict(parts[path])
        told = {
            file: called.get(numbers[key], numbers[key])
            for key, file in parts[files]
            if key in numbers
        }
        sheet = _make_sheet(images, path, told, "label")
        if 2 * sheet.files >= sheet.named > 0:
            return sheet
    return None


def read_partitions(images: Images, path: str) -> Sheet | None:
    """Return the splits of CelebA, whose authors explain the numbers; also of Kaggle's .csv."""
    pairs = dict(_read_pairs(images, [path])[path])
    pairs = {name: number for name, number in pairs.items() if number != "partition"}
    if not set(pairs.values()) <= PARTITIONS.keys():
        return None
    return _make_sheet(
        images, path, {n: PARTITIONS[number] for n, number in pairs.items()}, "split"
    )


def read_voc(images: Images, listing: Listing) -> Sheet | None:
    """Return the classes of Pascal VOC, a list each; an image of several has several."""
    hits = [hit for path in listing.tables if (hit := VOC.fullmatch(path))]
    above = min((hit["above"] for hit in hits), default="")
    found = {hit[0]: hit["label"] for hit in hits if hit["above"] == above}
    if len(set(found.values())) < 2:
        return None
    labels: dict[str, list[str]] = defaultdict(list)
    for path, pairs in _read_pairs(images, list(found)).items():
        if not {mark for _, mark in pairs} <= MARKS:
            return None
        for name, mark in pairs:
            if mark == "1" and found[path] not in labels[name]:
                labels[name].append(found[path])
    told = {name: SEVERAL.join(sorted(classes)) for name, classes in labels.items() if classes}
    sheet = _make_sheet(images, min(found), told, "label")
    return sheet if 2 * sheet.files >= sheet.named > 0 else None


def _read_pairs(images: Images, paths: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return the lines of two words of some lists; commas part them as well."""
    with open_images(images.folder, paths).bringing() as here:
        texts = {p: (here / p).read_text(encoding="utf-8", errors="replace") for p in paths}
    return {
        path: [
            (cells[0].strip(), cells[1].strip())
            for line in text.splitlines()
            if len(cells := re.split(r"\s*,\s*|\s+", line.strip(), maxsplit=1)) > 1
        ]
        for path, text in texts.items()
    }


def _make_sheet(images: Images, path: str, told: Mapping[str, str], part: str) -> Sheet:
    """Return a table of label or split of each file that is named."""
    import pandas as pd

    match = match_rows([clean(name) for name in told], images.paths, images.base)
    rows = pd.DataFrame({"path": match.files, "label": "", "split": "", "group": ""})
    rows[part] = list(told.values())
    rows = rows[rows["path"] != ""].drop_duplicates("path").reset_index(drop=True)
    files = sum(map(bool, match.files))
    return Sheet(Found(path), rows, part == "label", len(told), files)

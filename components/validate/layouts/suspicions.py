"""What names and sizes of files let suspect: groups, twins, classes that lie deeper."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.files.writing import compute_sha256
from components.validate.folders.words import sounds_like_split

if TYPE_CHECKING:
    import pandas as pd

SECTION = "in section validate.layout of params.yaml"
# The beginning of a name, with a digit in it, before its last part: patient12_left, 20240513-0007.
GROUP = r"(?P<group>[^/]*\d[^/]*)[-_ .][^-_ ./]+\.\w+$"
NAMED = 0.8  # of the files, for their names to tell of groups
# A group of two is a pair of twins; below this mean hardly any image has a mate.
GROUP_MEAN = 2.0
# Reading files of equal sizes takes about a second for each gigabyte.
MOST_BYTES = 2e9


def note_depth(files: pd.DataFrame, depth: int | str) -> list[str]:
    """Say that classes hold folders, which may be the classes.

    Args:
        files: columns path, label, split.
        depth: `validate.layout.class_depth`.
    """
    if depth != 1:
        return []
    inner: Counter[str] = Counter()
    for path, label, split in zip(files["path"], files["label"], files["split"], strict=True):
        _, found, below = f"/{path}".partition(f"/{label}/")
        folder, is_deeper, _ = below.partition("/")
        # cat/train/1.jpg: what is known to be a split is no class.
        if found and is_deeper and not (split and sounds_like_split(folder) == split):
            inner[f"{label}/{folder}"] += 1
    if inner.total() < NAMED * len(files) or len(inner) <= files["label"].nunique():
        return []
    names = ", ".join(name for name, _ in inner.most_common(3))
    return [
        f"in the folders of the classes lie {len(inner):,} folders, such as {names}: if these are "
        f"the classes, `class_depth: 2` {SECTION}"
    ]


def note_groups(files: pd.DataFrame) -> list[str]:
    """Say that names look as if several images were of one thing, which no split may part.

    Args:
        files: columns path, label, group.
    """
    if (files["group"] != "").any():
        return [f"{files['group'].nunique():,} groups are given: none is parted by the splits"]
    found = [re.search(GROUP, path) for path in files["path"]]
    groups = Counter(hit["group"] for hit in found if hit)
    count = groups.total()
    if (
        count < NAMED * len(files)
        or count < GROUP_MEAN * len(groups)
        or len(groups) <= 2 * files["label"].nunique()  # `cat_2019_17.jpg` numbers the class
    ):
        return []
    name, most = groups.most_common(1)[0]
    return [
        f"names such as {name}… ({most} images) may tell of {len(groups):,} groups, of a person, a "
        "thing or a burst; if they do, no split may part them: "
        f"`label_pattern: '{GROUP}'` {SECTION} keeps them together"
    ]


def note_twins(folder: Path, files: pd.DataFrame) -> list[str]:
    """Say how many files have the same bytes as another, above all where their labels differ.

    Args:
        folder: of images.
        files: columns path, label.
    """
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for path, label in zip(files["path"], files["label"], strict=True):
        try:
            by_size[(folder / path).stat().st_size].append((path, label))
        except OSError:  # a dead link; validate says so
            continue
    alike = {size: rows for size, rows in by_size.items() if size and len(rows) > 1}
    if sum(size * len(rows) for size, rows in alike.items()) > MOST_BYTES:
        return []
    twins: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for rows in alike.values():
        for path, label in rows:
            twins[compute_sha256(folder / path)].append((path, label))
    same = [rows for rows in twins.values() if len(rows) > 1]
    lines = []
    if same:
        count = sum(map(len, same)) - len(same)
        are = "file is a copy of another" if count == 1 else "files are copies of others"
        lines.append(
            f"{count:,} {are}, such as {same[0][0][0]} and "
            f"{same[0][1][0]}: no two splits get the same picture"
        )
    differ = [{label: path for path, label in rows} for rows in same]  # label → one of its paths
    differ = [paths for paths in differ if len(paths) > 1]
    if differ:
        (first, one), (second, other), *_ = differ[0].items()
        have = "has" if len(differ) == 1 else "have"
        lines.append(
            f"{len(differ):,} of these pictures {have} two labels, such as {one} ({first}) and "
            f"{other} ({second}): one is wrong, and preprocess leaves both out"
        )
    return lines

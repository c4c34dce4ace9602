r"""Labels in file names, by a pattern: `cat_0012.jpg` under `([^/]+)_\d+\.\w+$` is a cat.

The groups of a pattern may be named: `(?P<label>…)`, `(?P<split>…)`, `(?P<group>…)`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.words import name_split, normalise

if TYPE_CHECKING:
    import pandas as pd

# Tried on names without folders, to tell which pattern would do.
USUAL = (
    r"([^/]*[^\W\d_])[-_ .(]*\d[^/]*$",  # cat.12.jpg, great dane_3.jpg, cat (4).jpg
    r"\d[-_ .)]+([^/]*[^\W\d_])\.\w+$",  # 0012_cat.jpg
    r"([^/_]+)_[^/]*$",
    r"([^/-]+)-[^/]*$",
)
FITS = 0.9  # of the names, for a pattern to be worth a word


def read_names(files: pd.DataFrame, pattern: str, notes: list[str]) -> pd.DataFrame:
    """Return the files with what the pattern says of each; it goes before what folders say.

    Args:
        files: columns path, label, split, group.
        pattern: a regular expression, sought in the path below the folder of images.
        notes: receives how many names do not fit.
    """
    compiled = re.compile(pattern)
    names = compiled.groupindex
    found = [compiled.search(normalise(path)) for path in files["path"]]
    files = files.copy()
    for part in ("label", "split", "group"):
        group: int | str = part if part in names else 0
        if part == "label" and not names:
            group = 1
        if not group:
            continue
        said = [normalise(hit[group] or "").strip() if hit else "" for hit in found]
        if part == "split":
            said = [_read_split(text) for text in said]
        # No label is better than the name of a folder that the pattern was to overrule.
        files[part] = said
    misfits = files.loc[[hit is None for hit in found], "path"]
    if len(misfits):
        notes.append(
            f"{len(misfits):,} of {len(files):,} names do not fit validate.layout.label_pattern, "
            f"such as {misfits.iloc[0]!r}"
        )
    return files


def find_pattern(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return the usual pattern that reads labels from such names, and the labels, largest first.

    Both are empty where none fits.
    """
    for pattern in USUAL:
        hits = [re.search(pattern, path) for path in paths]
        labels = Counter(hit[1] for hit in hits if hit)
        count = sum(labels.values())
        if count >= FITS * len(paths) and 2 <= len(labels) <= count / 2:
            return pattern, [name for name, _ in labels.most_common()]
    return "", []


def _read_split(text: str) -> str:
    split = name_split(text) if text else ""
    if text and not split:
        raise DarkroomError(
            f"validate.layout.label_pattern reads the split {text!r}, which is none of train, val, "
            "test and their other names"
        )
    return split

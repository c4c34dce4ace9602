"""Which classes there are: included, excluded, renamed and merged by params, the data untouched."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import OK
from components.common.errors import DarkroomError
from components.common.settings.params import suggest
from components.common.terminal import say
from components.validate.folders.words import fold, normalise

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import ClassSettings


def choose_classes(
    files: pd.DataFrame, told: ClassSettings, notes: list[str]
) -> tuple[pd.DataFrame, set[str]]:
    """Return the files with the classes that the settings want, and the names that are left out.

    Classes are left out before they are renamed: the settings speak of names as they are in the
    data. Names are compared in any case and Unicode form, unless two of them differ only by that.

    Args:
        files: column label.
        told: settings of the classes.
        notes: receives what was done, in words.

    Raises:
        DarkroomError: if a setting names a class that is not there.
    """
    counts = files["label"].value_counts()
    names = sorted(str(name) for name in counts.index if name)
    kept = _match("include", told.include, names) if told.include else set(names)
    kept -= _match("exclude", told.exclude, names)
    gone = sorted(set(names) - kept)
    if gone:
        shown = ", ".join(f"{name} ({counts[name]:,})" for name in gone[:8])
        more = f" and {len(gone) - 8:,} more" if len(gone) > 8 else ""
        notes.append(f"classes left out by validate.classes: {shown}{more}")
        files = files[files["label"].isin(kept) | (files["label"] == "")]
    new: dict[str, str] = {}
    for old, name in told.rename.items():
        for found in _match("rename", [old], names):
            new[found] = normalise(name).strip()
    if new:
        files = files.assign(label=files["label"].map(lambda label: new.get(label, label)))
        notes.append(f"classes renamed by validate.classes.rename: {_describe(new, kept)}")
    return files.reset_index(drop=True), set(gone)


def rename(label: str, told: ClassSettings) -> str:
    """Return the new name of a class, or its own."""
    by_fold = {fold(old): normalise(name).strip() for old, name in told.rename.items()}
    return by_fold.get(fold(label), label)


def leave_out_small(manifest: pd.DataFrame, least: int, notes: list[str]) -> pd.DataFrame:
    """Return the manifest without the classes of fewer usable images, and say which they are."""
    labels = manifest["label"]
    counts = (
        labels[manifest["status"] == OK]
        .value_counts()
        .reindex(labels[labels != ""].unique(), fill_value=0)
    )
    small = counts[counts < least].sort_index()
    if not len(small):
        return manifest
    shown = ", ".join(f"{name} ({count:,})" for name, count in small.head(8).items())
    more = f" and {len(small) - 8:,} more" if len(small) > 8 else ""
    note = f"classes left out, fewer usable images than validate.classes.min_images: {shown}{more}"
    notes.append(note)
    say(note)
    return manifest[~labels.isin(small.index)].reset_index(drop=True)


def _match(setting: str, patterns: Sequence[str], names: Sequence[str]) -> set[str]:
    """Return the classes that patterns name; each must name one at least."""
    folded = defaultdict(list)
    for name in names:
        folded[fold(name)].append(name)
    found: set[str] = set()
    for pattern in patterns:
        wanted = normalise(pattern)
        if wanted in names:
            hits = [wanted]
        elif fold(wanted) in folded:
            hits = folded[fold(wanted)]
        else:
            glob = fold(wanted)
            hits = [name for name in names if fnmatch.fnmatchcase(fold(name), glob)]
        if not hits:
            raise DarkroomError(
                f"validate.classes.{setting} names {pattern!r}, and no class is so called; "
                f"{suggest(pattern, names)}the classes are {', '.join(names[:12])}"
                f"{' …' if len(names) > 12 else ''}"
            )
        found.update(hits)
    return found


def _describe(new: dict[str, str], kept: set[str]) -> str:
    """Return `t-shirt and tee are shirt`."""
    olds: dict[str, list[str]] = defaultdict(list)
    for old, name in new.items():
        olds[name].append(old)
    return "; ".join(
        f"{' and '.join([*sorted(names), *([name] if name in kept - set(names) else [])])} "
        f"{'is' if len(names) == 1 and name not in kept else 'are'} {name}"
        for name, names in sorted(olds.items())
    )

"""What is said where nothing names a class, or where files are passed over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.common.terminal import count_of
from components.validate.folders.filenames import find_pattern
from components.validate.folders.folders import Places
from components.validate.folders.listing import (
    CLOUD,
    Listing,
    count_side,
    describe_side,
    is_image_name,
    suffix_of,
)
from components.validate.folders.stored import describe_unread
from components.validate.folders.tree import last_name

if TYPE_CHECKING:
    import pandas as pd

SECTION = "in section validate.layout of params.yaml"


ARCHIVE_SUFFIXES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"}
MASK = re.compile(
    r"[-_ .](mask(ed)?|masks|seg|segmentation|gt|groundtruth|annotation|label)([-_ ]?\d+)?\.\w+$",
    re.IGNORECASE,
)


class LabellessError(DarkroomError):
    """Nothing names a label; a pattern for the names of the files may, if there is one."""

    def __init__(self, words: str, pattern: str) -> None:
        super().__init__(words)
        self.pattern = pattern


def refuse_labelless(
    folder: Path, files: pd.DataFrame, seen: tuple[Listing, Places], notes: list[str]
) -> LabellessError:
    """Return that nothing names a label, with what would, and what was found of tables."""
    listing, places = seen
    paths = list(files["path"])
    words = f"{folder}: {len(paths):,} images, and nothing says of which class they are: no class "
    words += "folders, and no table that names them"
    if len(places.splits) > 1:
        names = ", ".join(sorted(root.rstrip("/") for root in places.splits))
        words += (
            f". {names} look like splits and hold no class folders; if they are the classes, "
            f"`splits: none`, {SECTION}"
        )
        paths = list(files.loc[files["split"] == "train", "path"]) or paths
    said = ("find no file", "is not read", "passed over, by its name")
    tried = [note for note in notes if any(part in note for part in said)]
    if tried:
        words += f". {'; '.join(tried[:3])}"
    pattern, labels = find_pattern(paths)
    if pattern:
        words += (
            f"; the names of the files may: `label_pattern: '{pattern}'` would read {len(labels)} "
            f"classes ({', '.join(labels[:3])}) from them, {SECTION}"
        )
        return LabellessError(words, pattern)
    words += describe_unread(listing, len(paths))
    # A table that was read and holds no labels needs no naming.
    is_read = any("for labels" in note for note in tried)
    return LabellessError(words + ("" if is_read else _suggest_table(folder, listing)), "")


def refuse_single(folder: Path, files: pd.DataFrame) -> LabellessError | None:
    """Return that all images lie in one folder, whose names tell of classes; None if they do not.

    Args:
        folder: of images.
        files: columns path, label, as the folders alone say them.
    """
    paths, found = list(files["path"]), set(files["label"])
    if len(found) != 1 or "" in found:
        return None
    pattern, labels = find_pattern(paths)
    if not pattern:
        return None
    return LabellessError(
        f"{folder}: all {len(paths):,} images lie in one folder, {found.pop()}, and one class is "
        f"none to learn; the names of the files may tell more: `label_pattern: '{pattern}'` would "
        f"read {len(labels)} classes ({', '.join(labels[:3])}) from them, {SECTION}",
        pattern,
    )


def _suggest_table(folder: Path, listing: Listing) -> str:
    if listing.spreadsheets:
        return (
            f"; {listing.spreadsheets[0]} is a spreadsheet's own file, which is not read: "
            "open it, and save it as CSV UTF-8 beside the images"
        )
    stems = {last_name(path).rpartition(".")[0] for path in listing.paths}
    tables = [
        path
        for path in listing.tables
        if (not path.endswith(".txt") or "/" not in path)
        and last_name(path).partition(".")[0] not in {*stems, "meta"}
    ]
    if tables:
        return (
            f"; if {tables[0]} does: `table: {tables[0]}`, and the names of its columns, "
            f"`path_column: …`, `label_column: …`, {SECTION}"
        )
    return (
        f"; it should hold one folder of images per class, such as {folder / 'cat'}, or a "
        "table metadata.csv with columns path and label"
    )


def note_side(listing: Listing, notes: list[str]) -> None:
    """Say how many side files are passed over, and which tables cannot be read."""
    counts = count_side(listing)
    if counts:
        files = count_of(counts.total(), "side file")
        notes.append(
            f"{files} passed over ({describe_side(counts)}); `ignore` {SECTION} says which"
        )
    notes += [words for words in (describe_hidden(listing), describe_packed(listing)) if words]
    masks = _find_masks(listing.paths)
    if masks:
        notes.append(
            f"{count_of(len(masks), 'image')} named as masks of photos beside them, such as "
            f"{masks[0]}, "
            'and count as photos; if they are masks, add "*_mask*" or the like to `ignore` '
            f"{SECTION}"
        )
    for name in listing.spreadsheets:
        notes.append(
            f"{name}: a spreadsheet's own file, which is not read; if it tells of the images, save "
            "it as CSV UTF-8 beside them"
        )


def describe_hidden(listing: Listing) -> str:
    """Return how many images are out of sight, and why; empty if none are."""
    if not listing.hidden:
        return ""
    away = [name for name in listing.hidden if name.lower().endswith(CLOUD)]
    if away:
        return (
            f"{count_of(len(away), 'image')} in iCloud and not on this disk, such as {min(away)}: "
            "download them, then run again"
        )
    return (
        f"{count_of(len(listing.hidden), 'image')} passed over, since names that begin with a dot "
        f"are hidden, such as {min(listing.hidden)}"
    )


def describe_packed(listing: Listing) -> str:
    """Return which archives lie beside the class folders, and are not read; empty if none do."""
    packed = [
        path for path in listing.paths if "/" not in path and suffix_of(path) in ARCHIVE_SUFFIXES
    ]
    if not packed:
        return ""
    more = f" and {len(packed) - 3:,} more" if len(packed) > 3 else ""
    what = "is an archive" if len(packed) == 1 else "are archives"
    return (
        f"{', '.join(packed[:3])}{more} {what}, whose images are not read: unpack what belongs here"
    )


def describe_kinds(listing: Listing) -> str:
    """Return which kinds of files a folder holds that has no images: `, and holds 2 .parquet`."""
    counts = Counter(suffix_of(path) for path in listing.paths)
    for (_, suffix), count in listing.side.items():
        counts[suffix] += count
    kinds = Counter({name or "without suffix": count for name, count in counts.items()})
    return f", and holds {describe_side(kinds)}" if kinds else ""


def _find_masks(paths: Sequence[str]) -> list[str]:
    """Return the images that are named as another one in their folder, and as its mask."""
    named = [(path, hit) for path in paths if (hit := MASK.search(path)) and is_image_name(path)]
    if not named:
        return []
    stems = {path.rpartition(".")[0].casefold() for path in paths}
    return [path for path, hit in named if path[: hit.start()].casefold() in stems]

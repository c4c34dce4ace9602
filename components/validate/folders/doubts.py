"""What is said where nothing names a class, or where files are passed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.common.errors import DarkroomError
from components.validate.folders.filenames import find_pattern
from components.validate.folders.folders import Places
from components.validate.folders.listing import CLOUD, Listing, count_side, describe_side

if TYPE_CHECKING:
    import pandas as pd

SECTION = "in section validate.layout of params.yaml"


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
    tried = [note for note in notes if "find no file" in note or "is not read" in note]
    if tried:
        words += f". {'; '.join(tried[:3])}"
    pattern, labels = find_pattern(paths)
    if pattern:
        words += (
            f"; the names of the files may: `label_pattern: '{pattern}'` would read {len(labels)} "
            f"classes ({', '.join(labels[:3])}) from them, {SECTION}"
        )
        return LabellessError(words, pattern)
    # A table that was read and holds no labels needs no naming.
    is_read = any("for labels" in note for note in tried)
    return LabellessError(words + ("" if is_read else _suggest_table(folder, listing)), "")


def _suggest_table(folder: Path, listing: Listing) -> str:
    if listing.spreadsheets:
        return (
            f"; {listing.spreadsheets[0]} is a spreadsheet's own file, which is not read: "
            "open it, and save it as CSV UTF-8 beside the images"
        )
    tables = [path for path in listing.tables if not path.endswith(".txt") or "/" not in path]
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
        notes.append(
            f"{counts.total():,} side files passed over ({describe_side(counts)}); "
            f"`ignore` {SECTION} says which"
        )
    if words := describe_hidden(listing):
        notes.append(words)
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
            f"{len(away):,} images are in iCloud and not on this disk, such as {min(away)}: "
            "download them, then run again"
        )
    return (
        f"{len(listing.hidden):,} images passed over, since names that begin with a dot are "
        f"hidden, such as {min(listing.hidden)}"
    )

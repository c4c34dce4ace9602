"""What lies in a folder: candidates for examples, and the side files that are passed over."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.images.listing import list_paths
from components.common.images.pixels import SUFFIXES
from components.validate.folders.words import fold

# What systems leave behind is never anybody's image.
LEFT_BEHIND = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"),
    *("$recycle.bin", "system volume information"),
}
CLOUD = ".icloud"  # `.1.jpg.icloud` stands for a photo that is not on this disk
IMAGE_SUFFIXES = SUFFIXES | {".jfif", ".heic", ".heif", ".pnm", ".pbm", ".dib", ".j2k", ".jxl"}
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".json", ".txt", ".lst")
EXPORTED = (".csv", ".tsv", ".parquet", ".jsonl")  # of these, tables of any name
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
# Folders above a table, VOCdevkit/VOC2007/ImageSets/Main; a CSV deeper down belongs to an image.
TABLE_DEPTH = 4


@dataclass
class Listing:
    """The names in a folder, relative to it, with `/`."""

    paths: list[str] = field(default_factory=list)  # candidates for examples
    folders: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    spreadsheets: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)  # images whose name or folder begins with a dot
    side: Counter[tuple[str, str]] = field(default_factory=Counter)  # (folder, suffix) → files


def list_files(folder: Path, ignore: Sequence[str]) -> Listing:
    """List a folder; links to folders are followed, but not in circles.

    Args:
        folder: folder of images, or a listing of some.
        ignore: patterns as in .gitignore: `*.xml` any file so named, `raw/` any folder so named,
            `cat/old/*` a path from the top.
    """
    found = Listing()
    if folder.is_file():
        _walk_names(_nest(list_paths(folder)), "", _compile(ignore), found)
    else:
        _walk(folder, "", (), _compile(ignore), found)
    return found


def is_image_name(path: str) -> bool:
    """Whether a file is named as an image."""
    return suffix_of(path) in IMAGE_SUFFIXES


def suffix_of(path: str) -> str:
    """Return the suffix of a name, lower case, with its dot; a Path would cost ten times more."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    return "" if "/" in suffix else suffix


def count_side(listing: Listing, below: str = "") -> Counter[str]:
    """Return how many side files of each suffix lie in class folders, or below one folder."""
    counts: Counter[str] = Counter()
    for (place, suffix), count in listing.side.items():
        if place and (not below or place == below or place.startswith(f"{below}/")):
            counts[suffix or "no suffix"] += count
    return counts


def describe_side(counts: Counter[str]) -> str:
    """Return `12 .xml, 2 .txt`."""
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(8))


def _walk(
    folder: Path, prefix: str, above: tuple[Path, ...], ignored: _Ignored, found: Listing
) -> None:
    real = folder.resolve()
    files: list[str] = []
    inner: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _is_ours(entry.name):
                    found.hidden += _list_hidden(entry, prefix)
                    continue
                if _is_folder(entry):
                    inner.append(entry)
                else:  # also a dead link, a pipe or a device: it is reported, not passed over
                    files.append(entry.name)
    except OSError as error:
        raise DarkroomError(
            f"{folder}: cannot be listed ({error.strerror}); mend its permissions, or leave it out "
            "with validate.layout.ignore"
        ) from None
    _sort_files(prefix, sorted(files), ignored, found)
    for entry in sorted(inner, key=lambda entry: entry.name):
        place = encode_name(f"{prefix}{entry.name}")
        if ignored.has_folder(place) or (folder / entry.name).resolve() in (*above, real):
            continue  # a link to where it lies itself is no class folder either
        found.folders.append(place)
        _walk(folder / entry.name, f"{prefix}{entry.name}/", (*above, real), ignored, found)


def _nest(paths: Iterable[str]) -> dict[str, Any]:
    """Return folders as dictionaries in each other, files as names that hold nothing."""
    top: dict[str, Any] = {}
    for path in paths:
        place = top
        *folders, name = path.split("/")
        for folder in folders:
            place = place.setdefault(folder, {})
            if place is None:
                raise DarkroomError(
                    f"{path}: the folder {folder} in it is a file too, which no disk could hold; "
                    "rename one of them in the store"
                )
        place[name] = None
    return top


def _walk_names(place: dict[str, Any], prefix: str, ignored: _Ignored, found: Listing) -> None:
    """Do for the names of a listing what :func:`_walk` does for a folder."""
    ours = sorted(name for name in place if _is_ours(name))
    found.hidden += _list_hidden_names(place, prefix)
    _sort_files(prefix, [name for name in ours if place[name] is None], ignored, found)
    for name in ours:
        if place[name] is not None and not ignored.has_folder(f"{prefix}{name}"):
            found.folders.append(f"{prefix}{name}")
            _walk_names(place[name], f"{prefix}{name}/", ignored, found)


def _sort_files(prefix: str, names: list[str], ignored: _Ignored, found: Listing) -> None:
    """Tell examples from side files: those ignored, and those named as an image beside them."""
    place = encode_name(prefix.rstrip("/"))
    # `1.xml` and `1.jpg.meta` belong to `1.jpg`.
    taken = {form for name in names if is_image_name(name) for form in (name, _stem(name))}
    for name in names:
        path = encode_name(prefix + name)
        suffix = suffix_of(name)
        if suffix in TABLE_SUFFIXES and prefix.count("/") <= TABLE_DEPTH:
            found.tables.append(path)
        if suffix in SPREADSHEETS and not name.startswith("~$"):
            found.spreadsheets.append(path)
        is_side = suffix not in IMAGE_SUFFIXES and _stem(name) in taken
        if is_side or ignored.has_file(path):
            found.side[place, suffix] += 1
        else:
            found.paths.append(path)


def encode_name(name: str) -> str:
    """Return a name that can stand in a table.

    One that is not UTF-8 is found no more when so written: the file goes into quarantine for that.
    """
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0] if "." in name else name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _list_hidden(entry: os.DirEntry[str], prefix: str) -> list[str]:
    """Return the images that a hidden name keeps out of sight: the file, or those in the folder."""
    if not entry.name.startswith("."):
        return []
    if not _is_folder(entry):
        return [encode_name(prefix + entry.name)] if _is_photo(entry.name) else []
    try:
        inner = [file.name for file in Path(entry.path).iterdir() if _is_photo(file.name)]
    except OSError:
        return []  # not ours to list
    return [encode_name(f"{prefix}{entry.name}/{name}") for name in inner]


def _list_hidden_names(place: dict[str, Any], prefix: str) -> list[str]:
    """Do for the names of a listing what :func:`_list_hidden` does for each entry of a folder."""
    files: list[str] = []
    for name, inner in place.items():
        if name.startswith("."):
            files += [name] if inner is None else [f"{name}/{n}" for n in inner if inner[n] is None]
    return [f"{prefix}{file}" for file in files if _is_photo(file.rsplit("/", 1)[-1])]


def _is_photo(name: str) -> bool:
    """Whether a file is named as an image, or as the stand-in of one that lies in iCloud."""
    is_beside = name.startswith("._")  # what macOS puts beside each file
    return not is_beside and is_image_name(name.lower().removesuffix(CLOUD))


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in LEFT_BEHIND


class _Ignored:
    """Compiled patterns of what is passed over."""

    def __init__(self, names: str, folders: str, paths: str) -> None:
        self._names, self._folders, self._paths = (
            re.compile(text) if text else None for text in (names, folders, paths)
        )

    def has_file(self, path: str) -> bool:
        name = fold(path.rsplit("/", 1)[-1])
        return bool(
            (self._names and self._names.fullmatch(name))
            or (self._paths and self._paths.fullmatch(fold(path)))
        )

    def has_folder(self, path: str) -> bool:
        name = fold(path.rsplit("/", 1)[-1])
        return bool(
            (self._folders and self._folders.fullmatch(name))
            or (self._names and self._names.fullmatch(name))
            or (self._paths and self._paths.fullmatch(fold(path)))
        )


def _compile(patterns: Iterable[str]) -> _Ignored:
    names, folders, paths = [], [], []
    for pattern in patterns:
        folded = fold(pattern.removeprefix("./"))
        bare = folded.rstrip("/").removesuffix("/**")
        text = fnmatch.translate(bare.removeprefix("/").removeprefix("**/"))
        if "/" in bare.removeprefix("**/"):
            paths.append(text)
        elif folded != bare:
            folders.append(text)
        else:
            names.append(text)
    return _Ignored("|".join(names), "|".join(folders), "|".join(paths))

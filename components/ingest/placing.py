"""Where each file of an archive, or of a store, goes: what wraps the images is left away."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.common.errors import DarkroomError
from components.common.images.pixels import SUFFIXES

# A table names files relative to its own folder, so that folder must not change its place.
TABLES = frozenset((".csv", ".tsv", ".parquet", ".jsonl", ".xlsx"))
# Where nothing has the name of an image, all but these may be images without a suffix.
BESIDE = TABLES | {".txt", ".md", ".json", ".xml", ".html", ".htm", ".pdf", ".yaml", ".yml", ".py"}
ARCHIVES = frozenset((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"))
# Names of splits, whatever stands around them: `seg_train`, `Testing`. Such a folder says something
# and is kept where others are only wrapping.
SPLITS = re.compile(
    r"(?:^|[^a-z])(?:train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?|dev|eval(?:uation)?|hold-?out)"
    r"(?:$|[^a-z])",
    re.IGNORECASE,
)

LONGEST_NAME, LONGEST_SUFFIX = 255, 16  # bytes; the first is NAME_MAX of Linux

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What becomes of the files, in their order."""

    targets: list[Path | None]  # relative to the folder of images; None: left out
    wrapping: str  # the folders at the top that were left away, `photos/photos`; empty: none
    left_out: list[str]  # files beside the wrapping whose place is taken by one inside it
    doubled: list[str]  # names that came again later: the last is taken, as tar does
    shortened: list[str]  # files whose names, or whose folders', are too long to be kept
    hidden: list[str]  # images that are skipped for a dot before their name, or their folder's


def plan_targets(source: str, names: Sequence[str]) -> Plan:
    """Return where each file goes.

    Folders at the top that hold all images and are no class are left away, so that class folders,
    or splits, come to the top. Hidden files and `__MACOSX` are skipped.

    Args:
        source: what the user calls the archive, for messages.
        names: paths of the files in it.

    Raises:
        DarkroomError: if one leads out of the folder, or is a file and a folder at once.
    """
    paths = [split_name(source, name) for name in names]
    kept = [path for path in paths if path and not _is_hidden(path)]
    strip = _count_wrappers(kept)
    targets: list[Path | None] = []
    taken: dict[Parts, int] = {}
    doubled: list[str] = []
    for index, path in enumerate(paths):
        if not path or _is_hidden(path) or len(path) <= strip:
            targets.append(None)
            continue
        target = tuple(map(shorten, path[strip:]))
        if target in taken:
            targets[taken[target]] = None
            doubled.append(names[index])
        taken[target] = index
        targets.append(Path(*target))
    left_out = []
    for index, path in enumerate(paths):  # a README beside the wrapping
        if path and not _is_hidden(path) and len(path) <= strip:
            if path[-1:] in taken:
                left_out.append(names[index])
            else:
                taken[path[-1:]] = index
                targets[index] = Path(path[-1])
    folders = {target[:depth] for target in taken for depth in range(1, len(target))}
    for target in folders & taken.keys():
        raise refuse(source, names[taken[target]], "is a file and a folder at once")
    wrapping = "/".join(next(path for path in kept if len(path) > strip)[:strip]) if strip else ""
    hidden = [n for n, path in zip(names, paths, strict=True) if path and _is_hidden_image(path)]
    long = [
        name
        for name, path, target in zip(names, paths, targets, strict=True)
        if target and target.parts != path[len(path) - len(target.parts) :]
    ]
    return Plan(targets, wrapping, left_out, doubled, long, hidden)


def shorten(name: str) -> str:
    """Return a name that file systems take: where it is too long its beginning, a digest, its end.

    Names of 86 Chinese letters, which Windows takes, are longer in UTF-8 than Linux does.
    """
    raw = name.encode()
    if len(raw) <= LONGEST_NAME:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) <= LONGEST_SUFFIX else ""
    end = f"~{hashlib.sha256(raw).hexdigest()[:8]}{suffix}"
    return raw[: LONGEST_NAME - len(end.encode())].decode(errors="ignore") + end


def split_name(source: str, name: str) -> Parts:
    """Return the parts of a file's path, or refuse one that leads out of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise refuse(source, name, "leads out of the folder")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise refuse(source, name, "has a name that is not UTF-8") from None
    return path.parts


def resolve(path: PurePosixPath) -> str | None:
    """Return a path inside an archive without `..`, None if it leads out."""
    parts: list[str] = []
    for part in path.parts:
        if part == "/" or (part == ".." and not parts):
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def refuse(source: str, member: str, why: str) -> DarkroomError:
    """Return the error for a file that cannot be taken as it is."""
    return DarkroomError(
        f"{source}: refused, because its member {member!r} {why}; unpack it by hand if "
        "you trust it, and name the folder in data.source"
    )


def refuse_size(source: str, what: str) -> DarkroomError:
    """Return the error for an archive that would grow beyond reason."""
    return DarkroomError(
        f"{source}: refused, because it would unpack to {what}; unpack it by hand "
        "if you trust it, and name the folder in data.source"
    )


def _count_wrappers(paths: list[Parts]) -> int:
    """Return how many folders at the top only wrap the images."""
    is_image = _choose_images(paths)
    depth = 0
    while True:
        inner = [path[depth:] for path in paths if len(path) > depth]
        folders = {path[0] for path in inner if len(path) > 1}
        beside = [path for path in inner if len(path) == 1]
        if len(folders) != 1 or any(is_image(path) or _is_table(path) for path in beside):
            return depth
        images = [path for path in inner if is_image(path)]
        # Without a class folder below it, the folder is the class, unless a table says classes.
        has_classes = bool(images) and all(len(path) > 2 for path in images)
        stems = {PurePosixPath(path[-1]).stem for path in images}
        has_table = any(
            len(path) == 2 and _is_table(path) and PurePosixPath(path[1]).stem not in stems
            for path in inner
        )
        if not (has_classes or has_table) or (depth and SPLITS.search(folders.pop())):
            return depth
        depth += 1


def _choose_images(paths: Iterable[Parts]) -> Callable[[Parts], bool]:
    def has_suffix(path: Parts) -> bool:
        return PurePosixPath(path[-1]).suffix.lower() in SUFFIXES

    def may_be(path: Parts) -> bool:
        return PurePosixPath(path[-1]).suffix.lower() not in BESIDE | ARCHIVES and len(path) > 1

    return has_suffix if any(has_suffix(path) for path in paths) else may_be


def _is_table(path: Parts) -> bool:
    return PurePosixPath(path[-1]).suffix.lower() in TABLES


def _is_hidden(path: Parts) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path)


def _is_hidden_image(path: Parts) -> bool:
    """Whether a hidden file is named as an image, and is none of those that macOS puts beside."""
    is_beside = path[0] == "__MACOSX" or path[-1].startswith("._")
    is_image = PurePosixPath(path[-1]).suffix.lower() in SUFFIXES
    return _is_hidden(path) and is_image and not is_beside

"""Unpack a tar or zip archive of images without trusting it."""

from __future__ import annotations

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from components.common.errors import DarkroomError
from components.common.images.pixels import SUFFIXES, find_images
from components.common.terminal import track

# Photographs are compressed already: an archive of them hardly grows. Synthetic images may, so a
# hundredfold is allowed (gzip can reach 1,032, other methods far more), and 1 GB in any case.
MAX_GROWTH, ALWAYS_ALLOWED_BYTES = 100, 10**9
# Half as many again as ImageNet-1k holds; the list alone of so many takes some 3 GB of memory.
MAX_FILES = 2_000_000
CHUNK = 1 << 20
TABLES = ("metadata.csv", "metadata.parquet")  # validate reads one beside the images
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    KeyError,  # a link to what the archive does not hold
    RuntimeError,  # a zip method that Python lacks; links in a ring
)


@dataclass(frozen=True)
class Member:
    """One file of an archive, wherever its bytes come from."""

    name: str
    bytes: int
    handle: tarfile.TarInfo | zipfile.ZipInfo


class WriteError(Exception):
    """The disk, not the archive, is to blame."""


def unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack the files of a tar or zip archive into an empty folder.

    A single folder at the top is left away, so that class folders, or splits, come to the top.
    Hidden files and `__MACOSX` are skipped. A link inside a tar becomes a copy of what it names.

    Args:
        archive: the local file.
        folder: where its files go.
        name: what the user calls the archive, for messages.

    Raises:
        DarkroomError: if it is damaged, holds no image, would grow beyond reason, or has a member
            that is no file inside the folder: `..`, an absolute path, a link out of it, a device.
    """
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _unpack(name, archive, folder, _list_tar(name, tar), tar.extractfile)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as found:
                _unpack(name, archive, folder, _list_zip(name, found), found.open)
        else:
            raise DarkroomError(
                f"{name}: not a tar or zip archive, or its beginning or end is missing; give "
                "ingest.source another"
            )
    except WriteError as error:
        raise DarkroomError(
            f"{name}: cannot be unpacked here ({error}); mend that, then run again"
        ) from None
    except DAMAGED as error:
        raise DarkroomError(
            f"{name}: damaged archive ({str(error) or type(error).__name__}); get it again, and "
            "check ingest.sha256 against its publisher"
        ) from None
    if not find_images(folder):
        raise DarkroomError(
            f"{name}: no images in it; an archive should hold one folder of images per class"
        )


def plan_targets(name: str, members: list[Member]) -> list[Path | None]:
    """Return where each member goes, relative to the folder; None for what is skipped.

    Raises:
        DarkroomError: if a member would leave the folder.
    """
    paths = [_check_name(name, member.name) for member in members]
    kept = [path for path in paths if path and not _is_hidden(path)]
    tops = {path[0] for path in kept}
    # Without a class folder below it, the single folder is the class, unless a table says classes.
    has_classes = all(len(p) > 2 for p in kept if PurePosixPath(p[-1]).suffix.lower() in SUFFIXES)
    has_table = any(len(path) == 2 and path[1] in TABLES for path in kept)
    strip = 1 if len(tops) == 1 and (has_classes or has_table) else 0
    return [
        None if len(path) <= strip or _is_hidden(path) else Path(*path[strip:]) for path in paths
    ]


def _unpack(name: str, archive: Path, folder: Path, listed: Iterable[Member], read: Any) -> None:
    """Check all members before the first is written, then write them."""
    limit = max(ALWAYS_ALLOWED_BYTES, MAX_GROWTH * archive.stat().st_size)
    members: list[Member] = []
    total = 0
    # Counted while listing: to reach the end of a bomb's list means to inflate the bomb.
    for member in listed:
        members.append(member)
        total += member.bytes
        if total > limit:
            raise _too_large(
                name, f"more than {limit / 1e9:,.1f} GB, over {MAX_GROWTH} times its size"
            )
        if len(members) > MAX_FILES:
            raise _too_large(name, f"more than {MAX_FILES:,} files")
    targets = plan_targets(name, members)
    for member, target in track(
        zip(members, targets, strict=True), "unpacking", "files", len(members)
    ):
        if target is not None:
            with read(member.handle) as source:
                _write(source, folder / target)


def _list_tar(name: str, tar: tarfile.TarFile) -> Iterable[Member]:
    """Yield the files, then the links, which may stand before what they name."""
    sizes: dict[str | None, int] = {}
    links: list[tuple[tarfile.TarInfo, str]] = []
    for info in tar:
        if info.islnk() or info.issym():
            # A hard link names a member; a symbolic link is relative to its own folder.
            start = PurePosixPath(info.name).parent if info.issym() else PurePosixPath()
            target = _resolve(start / info.linkname)
            if target is None:
                raise _refuse(name, info.name, f"is a link out of the folder, to {info.linkname!r}")
            links.append((info, target))
        elif info.isfile():
            sizes[_resolve(PurePosixPath(info.name))] = info.size
            yield Member(info.name, info.size, info)
        elif not info.isdir():
            raise _refuse(name, info.name, "is a device or another special file")
    for info, target in links:
        if target not in sizes:
            raise _refuse(
                name, info.name, f"is a link to {info.linkname!r}, no file of the archive"
            )
        yield Member(info.name, sizes[target], info)


def _list_zip(name: str, found: zipfile.ZipFile) -> Iterable[Member]:
    for info in found.infolist():
        if info.is_dir():
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)  # Unix mode, 0 where no Unix made the archive
        if kind not in (0, stat.S_IFREG):
            what = "a link" if kind == stat.S_IFLNK else "a device or another special file"
            raise _refuse(name, info.filename, f"is {what}")
        if info.flag_bits & 1:
            raise DarkroomError(
                f"{name}: locked with a password; unpack it by hand, and name the folder in "
                "data.source"
            )
        yield Member(info.filename, info.file_size, info)


def _check_name(archive: str, name: str) -> tuple[str, ...]:
    """Return the parts of a member's path, or refuse one that leads out of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise _refuse(archive, name, "leads out of the folder")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise _refuse(archive, name, "has a name that is not UTF-8") from None
    return path.parts


def _resolve(path: PurePosixPath) -> str | None:
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


def _is_hidden(path: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path)


def _refuse(archive: str, member: str, why: str) -> DarkroomError:
    return DarkroomError(
        f"{archive}: refused, because its member {member!r} {why}; unpack it by hand if "
        "you trust it, and name the folder in data.source"
    )


def _too_large(archive: str, what: str) -> DarkroomError:
    return DarkroomError(
        f"{archive}: refused, because it would unpack to {what}; unpack it by hand "
        "if you trust it, and name the folder in data.source"
    )


def _write(source: IO[bytes], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            while chunk := _read(source):
                out.write(chunk)
    except OSError as error:
        raise WriteError(error) from None


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:  # gzip and bzip2 say so of damage
        raise tarfile.ReadError(str(error)) from None

"""Read a zip: what it holds, and its names in the encoding that they are in."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from components.common.errors import DarkroomError
from components.common.files.encodings import guess_encoding
from components.ingest.archives import members as limits
from components.ingest.archives.links import find_target, follow, refuse_dead
from components.ingest.archives.members import Archive, Member, extract_each
from components.ingest.contents import BY_HAND
from components.ingest.placing import refuse, refuse_size, resolve

# What the zipfile of Python 3.11 to 3.13 can read; others by the numbers of APPNOTE.TXT, 4.4.5.
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
METHODS = {9: "Deflate64, as Windows does over 2 GB", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
LONGEST_LINK = 4096  # PATH_MAX of Linux
ENTRY_BYTES = 46  # of an entry in the list of a zip, without its name


@contextmanager
def open_zip(archive: Path, name: str) -> Iterator[Archive]:
    """Open a zip; `name` is what the user calls it."""
    _check_end(archive, name)
    with zipfile.ZipFile(archive) as opened:
        folders: list[str] = []
        yield Archive(_list_zip(name, opened, folders), extract_each(opened.open), folders)


def _list_zip(name: str, found: zipfile.ZipFile, folders: list[str]) -> Iterable[Member]:
    """Yield the files, then the links with the entries that they name; fill the folders."""
    files: dict[str | None, zipfile.ZipInfo] = {}
    links: list[tuple[str, zipfile.ZipInfo]] = []
    unsaid = [info for info in found.infolist() if _read_name(info) is None]
    # Unix has no cp437, and Western Europe wrote its letters in cp1252 or in its subset Latin-1.
    usual = "cp1252" if any(info.create_system == 3 for info in unsaid) else "cp437"
    encoding = guess_encoding([_read_raw(info) for info in unsaid], usual) if unsaid else ""
    for info in found.infolist():
        if not info.filename:  # of which Python 3.11 cannot tell whether it is a folder
            raise refuse(name, info.orig_filename, "has no name")
        path, guessed = _read_name(info), ""
        if path is None:
            path, guessed = _read_raw(info).decode(encoding, "replace"), encoding
        if info.is_dir():
            folders.append(path)
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)  # Unix mode, 0 where no Unix made the archive
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise refuse(name, path, "is a device or another special file")
        if info.flag_bits & 1:
            raise DarkroomError(f"{name}: locked with a password; {BY_HAND}")
        if info.compress_type not in READ_METHODS:
            method = METHODS.get(info.compress_type, f"method {info.compress_type}")
            raise DarkroomError(
                f"{name}: its member {path!r} is compressed in a way that cannot be read here "
                f"({method}); {BY_HAND}"
            )
        if kind == stat.S_IFLNK:
            links.append((path, info))
        else:
            files[resolve(PurePosixPath(path.replace("\\", "/")))] = info
            yield Member(path, info.file_size, info, guessed)
    yield from _list_zip_links(name, found, links, files)


def _list_zip_links(
    name: str,
    found: zipfile.ZipFile,
    links: list[tuple[str, zipfile.ZipInfo]],
    files: Mapping[str | None, zipfile.ZipInfo],
) -> Iterable[Member]:
    """Yield the links of a zip, with the entries that they name."""
    targets: list[tuple[str, str, str]] = []  # link, what it names as written, and in the archive
    for path, info in links:
        if info.file_size > LONGEST_LINK:
            raise refuse(name, path, "is a link of more bytes than any has")
        target = found.read(info).decode("utf-8", "replace")
        inside = follow(name, path, PurePosixPath(path).parent, target)
        targets.append((path, target, inside))
    further = {resolve(PurePosixPath(path)): inside for path, _, inside in targets}
    for path, target, inside in targets:
        entry = find_target(inside, further, files)
        if entry is None:
            raise refuse_dead(name, path, target)
        yield Member(path, entry.file_size, entry)


def _check_end(archive: Path, name: str) -> None:
    """Refuse the last piece of a zip in several, which lacks most of its entries, and a crowd.

    zipfile reads the whole list of entries at once.
    """
    with archive.open("rb") as file:
        # The end record and its comment, and before it where that of zip64 is.
        file.seek(-min(archive.stat().st_size, 20 + 22 + 65535), 2)
        start, tail = file.tell(), file.read()
        end = tail.rfind(b"PK\x05\x06")
        if tail[end:][4:6] not in (b"\0\0", b"\xff\xff"):  # 65535: it stands in zip64's record
            raise zipfile.BadZipFile("zipfiles that span multiple disks are not supported")
        size, stop = int.from_bytes(tail[end:][12:16], "little"), start + end
        if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
            stop -= 20 + 56  # the record of zip64, which ends before its locator
            file.seek(max(0, stop))
            size = int.from_bytes(file.read(56)[40:48], "little")
        if size > ENTRY_BYTES * limits.MAX_FILES and _count_entries(file, stop - size, stop):
            raise refuse_size(name, f"more than {limits.MAX_FILES:,} files")


def _count_entries(file: IO[bytes], start: int, stop: int) -> bool:
    """Whether a zip's list has more entries than are allowed."""
    file.seek(max(0, start))
    for _ in range(limits.MAX_FILES):
        entry = file.read(ENTRY_BYTES)
        if len(entry) < ENTRY_BYTES or file.tell() >= stop:
            return False
        file.seek(sum(struct.unpack("<HHH", entry[28:34])), 1)  # name, extra field, comment
    return file.tell() < stop


def _read_name(info: zipfile.ZipInfo) -> str | None:
    """Return the name of a zip's entry; None where nothing says its encoding.

    Without the flag of UTF-8 the standard says cp437, and Python takes it at its word; but Info-ZIP
    and macOS write UTF-8 without the flag, Info-ZIP elsewhere in an extra field.
    """
    if info.filename.isascii() or info.flag_bits & 0x800:
        return info.filename
    raw = _read_raw(info)
    told = _read_unicode_path(info.extra, raw)
    if told:
        return told
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _read_raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("cp437", "replace")


def _read_unicode_path(extra: bytes, raw: bytes) -> str:
    """Return the name in Info-ZIP's extra field 0x7075, if it belongs to this name."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == 0x7075 and len(field) > 5:
            version, checksum = struct.unpack("<BL", field[:5])
            if version == 1 and checksum == zlib.crc32(raw):
                return field[5:].decode("utf-8", "replace")
    return ""

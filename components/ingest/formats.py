"""Read tar, zip and 7z archives: which one a file is, and a list of what it holds."""

from __future__ import annotations

import contextlib
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from components.common.errors import DarkroomError
from components.ingest import members as limits
from components.ingest.contents import BY_HAND, describe_content
from components.ingest.members import (
    CHUNK,
    MOST_HEAD_BYTES,
    Archive,
    Create,
    Heads,
    HeadsError,
    Member,
    guess_encoding,
    inflate,
)
from components.ingest.placing import refuse, refuse_size, resolve

ZSTD, SEVEN_ZIP = b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"
# What the zipfile of Python 3.11 to 3.13 can read; others by the numbers of APPNOTE.TXT, 4.4.5.
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
METHODS = {9: "Deflate64, as Windows does over 2 GB", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
TAR_MARK, MARK_PLACE = re.compile(rb"ustar[\0 ]"), 257  # in the head of each member
LONGEST_LINK = 4096  # PATH_MAX of Linux
ENTRY_BYTES = 46  # of an entry in the list of a zip, without its name


@contextmanager
def open_archive(archive: Path, name: str) -> Iterator[Archive]:
    """Open an archive, whatever it is called.

    Args:
        archive: the file.
        name: what the user calls it, for messages.

    Raises:
        DarkroomError: if it is none, or of a kind that cannot be read here.
    """
    with archive.open("rb") as file:
        head = file.read(512)
    if head.startswith(SEVEN_ZIP):
        from components.ingest.seven_zip import open_seven_zip

        with open_seven_zip(archive, name) as found:
            yield found
    elif head.startswith(ZSTD):
        with _open_zstd(archive, name) as stream, _open_tar(stream, name) as found:
            yield found
    elif _is_tar(archive, head):
        with inflate(archive, head) as stream, _open_tar(stream, name) as found:
            yield found
    elif zipfile.is_zipfile(archive):
        _check_end(archive, name)
        with zipfile.ZipFile(archive) as opened:
            folders: list[str] = []
            yield Archive(_list_zip(name, opened, folders), _each(opened.open), folders)
    else:
        raise DarkroomError(f"{name}: not a tar or zip archive, {describe_content(archive, head)}")


@contextmanager
def _open_zstd(archive: Path, name: str) -> Iterator[Any]:
    try:
        from backports import zstd
    except ImportError:
        raise DarkroomError(
            f"{name}: packed with Zstandard (.zst), read by backports.zstd: python -m pip install "
            f"'backports.zstd>=1.8', or {BY_HAND}"
        ) from None
    try:
        with zstd.ZstdFile(archive) as stream:
            yield stream
    except zstd.ZstdError as error:
        raise tarfile.ReadError(str(error)) from None


def _is_tar(archive: Path, head: bytes) -> bool:
    try:
        with inflate(archive, head) as stream, tarfile.open(fileobj=Heads(stream), mode="r:"):  # type: ignore[call-overload]
            return True
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError):
        return False


@contextmanager
def _open_tar(stream: Any, name: str) -> Iterator[Archive]:
    heads = Heads(stream)
    with tarfile.open(fileobj=heads, mode="r:", encoding="utf-8") as tar:  # type: ignore[call-overload]
        folders: list[str] = []
        listed = _list_tar(name, tar, heads, folders)
        yield Archive(listed, _each(tar.extractfile), folders)


def _each(read: Callable[[Any], Any]) -> Any:
    """Return what extracts member by member."""

    def extract(wanted: list[Member], create: Create) -> None:
        for member in wanted:
            with read(member.handle) as stream, contextlib.closing(create(member)) as out:
                while chunk := _read(stream):
                    out.write(chunk)

    return extract


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:  # gzip and bzip2 say so of damage
        raise tarfile.ReadError(str(error)) from None


def _list_tar(
    name: str, tar: tarfile.TarFile, heads: Heads, folders: list[str]
) -> Iterable[Member]:
    """Yield the files, then the links, which may stand before what they name; fill the folders."""
    sizes: dict[str | None, int] = {}
    links: list[tuple[tarfile.TarInfo, str]] = []
    for count, info in enumerate(tar, start=1):
        if count > limits.MAX_FILES:  # folders and links as well
            raise refuse_size(name, f"more than {limits.MAX_FILES:,} files")
        heads.go_on()
        info.pax_headers = {}  # what they say is in the other fields, and of many they are large
        if sum(map(len, tar.pax_headers.values())) > MOST_HEAD_BYTES:
            raise HeadsError("what it says of all its members is of more bytes than any needs")
        if info.islnk() or info.issym():
            # A hard link names a member; a symbolic link is relative to its own folder.
            start = PurePosixPath(info.name).parent if info.issym() else PurePosixPath()
            links.append((info, _follow(name, info.name, start, info.linkname)))
        elif info.isfile():
            sizes[resolve(PurePosixPath(info.name))] = info.size
            yield Member(info.name, info.size, info)
        elif info.isdir():
            folders.append(info.name)
        else:
            raise refuse(name, info.name, "is a device or another special file")
    heads.end()
    _read_on(name, heads)
    for info, target in links:
        if target not in sizes:
            raise _refuse_dead(name, info.name, info.linkname)
        yield Member(info.name, sizes[target], info)


def _read_on(name: str, stream: Any) -> None:
    """Read what lies behind the last block of a tar: there gzip, xz and zstd keep their checksum.

    At most as much as GNU tar pads with, many times over; a bomb may hide there as well. Another
    tar there, as `cat a.tar b.tar` leaves it, is refused: nobody would miss its images.
    """
    try:
        for _ in range(64):
            place = stream.tell()
            chunk = stream.read(CHUNK)
            if not chunk:
                return
            for hit in TAR_MARK.finditer(chunk):
                if (place + hit.start()) % tarfile.BLOCKSIZE == MARK_PLACE:
                    raise DarkroomError(
                        f"{name}: another tar begins behind its end, as where two were put "
                        f"together; {BY_HAND} (tar --ignore-zeros reads both)"
                    )
    except OSError as error:
        if "Not a gzipped file" not in str(error):  # gunzip ignores what follows the checksum, too
            raise


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
    for path, info in links:
        if info.file_size > LONGEST_LINK:
            raise refuse(name, path, "is a link of more bytes than any has")
        target = found.read(info).decode("utf-8", "replace")
        inside = _follow(name, path, PurePosixPath(path).parent, target)
        if inside not in files:
            raise _refuse_dead(name, path, target)
        yield Member(path, files[inside].file_size, files[inside])


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


def _follow(name: str, member: str, start: PurePosixPath, target: str) -> str:
    inside = resolve(start / target)
    if inside is None:
        raise refuse(name, member, f"is a link out of the folder, to {target!r}")
    return inside


def _refuse_dead(name: str, member: str, target: str) -> DarkroomError:
    return refuse(name, member, f"is a link to {target!r}, no file of the archive")


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

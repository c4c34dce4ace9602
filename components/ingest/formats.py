"""Read tar, zip and 7z archives: which one a file is, and a list of what it holds."""

from __future__ import annotations

import contextlib
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from components.common.errors import DarkroomError
from components.common.files.encodings import guess_encoding
from components.ingest.contents import BY_HAND, describe_content
from components.ingest.members import CHUNK, Archive, Create, Member
from components.ingest.placing import refuse, resolve

ZSTD, SEVEN_ZIP = b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"
# What the zipfile of Python 3.11 to 3.13 can read; others by the numbers of APPNOTE.TXT, 4.4.5.
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
METHODS = {9: "Deflate64, as Windows does over 2 GB", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
TAR_MARK, MARK_PLACE = re.compile(rb"ustar[\0 ]"), 257  # in the head of each member
LONGEST_LINK = 4096  # PATH_MAX of Linux
MOST_LINKS = 40  # that Linux follows
MOST_OPEN = 100  # files that are written at once
T = TypeVar("T")


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
    elif tarfile.is_tarfile(archive):
        with archive.open("rb") as stream, _open_tar(stream, name) as found:
            yield found
    elif zipfile.is_zipfile(archive):
        _refuse_piece(archive)
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


@contextmanager
def _open_tar(stream: Any, name: str) -> Iterator[Archive]:
    with tarfile.open(fileobj=stream, encoding="utf-8") as tar:
        folders: list[str] = []
        yield Archive(_list_tar(name, tar, folders), _each(tar.extractfile), folders)


def _each(read: Callable[[Any], Any]) -> Any:
    """Return what extracts member by member, links with what they name: no stream goes back."""

    def extract(wanted: list[Member], create: Create) -> None:
        together: dict[int, list[Member]] = {}
        for member in wanted:
            together.setdefault(id(member.handle), []).append(member)
        for members in together.values():
            for start in range(0, len(members), MOST_OPEN):
                with read(members[0].handle) as stream, contextlib.ExitStack() as stack:
                    outs = [
                        stack.enter_context(contextlib.closing(create(member)))
                        for member in members[start : start + MOST_OPEN]
                    ]
                    while chunk := _read(stream):
                        for out in outs:
                            out.write(chunk)

    return extract


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:  # gzip and bzip2 say so of damage
        raise tarfile.ReadError(str(error)) from None


def _list_tar(name: str, tar: tarfile.TarFile, folders: list[str]) -> Iterable[Member]:
    """Yield the files, then the links, which may stand before what they name; fill the folders."""
    files: dict[str | None, tarfile.TarInfo] = {}
    links: list[tuple[tarfile.TarInfo, str]] = []
    for info in tar:
        if info.islnk() or info.issym():
            # A hard link names a member; a symbolic link is relative to its own folder.
            start = PurePosixPath(info.name).parent if info.issym() else PurePosixPath()
            links.append((info, _follow(name, info.name, start, info.linkname)))
        elif info.isfile():
            files[resolve(PurePosixPath(info.name))] = info
            yield Member(info.name, info.size, info)
        elif info.isdir():
            folders.append(info.name)
        else:
            raise refuse(name, info.name, "is a device or another special file")
    _read_on(name, tar.fileobj)
    further = {resolve(PurePosixPath(info.name)): target for info, target in links}
    for info, target in links:
        found = _follow_all(target, further, files)
        if found is None:
            raise _refuse_dead(name, info.name, info.linkname)
        # Its own bytes: of a hard link Python would seek them before the link alone.
        yield Member(info.name, found.size, found)


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
        inside = _follow(name, path, PurePosixPath(path).parent, target)
        targets.append((path, target, inside))
    further = {resolve(PurePosixPath(path)): inside for path, _, inside in targets}
    for path, target, inside in targets:
        entry = _follow_all(inside, further, files)
        if entry is None:
            raise _refuse_dead(name, path, target)
        yield Member(path, entry.file_size, entry)


def _refuse_piece(archive: Path) -> None:
    """Refuse the last piece of a zip in several, which lacks most of its entries."""
    with archive.open("rb") as file:
        file.seek(-min(archive.stat().st_size, 22 + 65535), 2)  # the end record and its comment
        tail = file.read()
    number = tail[tail.rfind(b"PK\x05\x06") :][4:6]
    if number not in (b"\0\0", b"\xff\xff"):  # 65535: it stands in the record of zip64
        raise zipfile.BadZipFile("zipfiles that span multiple disks are not supported")


def _follow(name: str, member: str, start: PurePosixPath, target: str) -> str:
    inside = resolve(start / target)
    if inside is None:
        raise refuse(name, member, f"is a link out of the folder, to {target!r}")
    return inside


def _follow_all(
    target: str, further: Mapping[str | None, str], files: Mapping[str | None, T]
) -> T | None:
    """Return the file that a link means, also by links to links; None: there is none."""
    for _ in range(MOST_LINKS):
        if target in files or target not in further:
            break
        target = further[target]
    return files.get(target)


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

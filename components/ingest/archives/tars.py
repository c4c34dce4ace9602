"""Read a tar, packed or not: what it holds, and no more of its heads than any needs."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from components.common.errors import DarkroomError
from components.ingest.archives import members as limits
from components.ingest.archives.links import find_target, follow, refuse_dead
from components.ingest.archives.members import (
    CHUNK,
    MOST_HEAD_BYTES,
    Archive,
    Heads,
    HeadsError,
    Member,
    extract_each,
    inflate,
)
from components.ingest.contents import BY_HAND
from components.ingest.placing import refuse, refuse_size, resolve

TAR_MARK, MARK_PLACE = re.compile(rb"ustar[\0 ]"), 257  # in the head of each member


def is_tar(archive: Path, head: bytes) -> bool:
    """Whether a file is a tar, by its first member; `head` are its first 512 bytes."""
    try:
        with inflate(archive, head) as stream, tarfile.open(fileobj=Heads(stream), mode="r:"):  # type: ignore[call-overload]
            return True
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError):
        return False


@contextmanager
def open_tar(stream: Any, name: str) -> Iterator[Archive]:
    """Open a tar from a stream of its inflated bytes; `name` is what the user calls it."""
    heads = Heads(stream)
    with tarfile.open(fileobj=heads, mode="r:", encoding="utf-8") as tar:  # type: ignore[call-overload]
        folders: list[str] = []
        listed = _list_tar(name, tar, heads, folders)
        yield Archive(listed, extract_each(tar.extractfile), folders)


def _list_tar(
    name: str, tar: tarfile.TarFile, heads: Heads, folders: list[str]
) -> Iterable[Member]:
    """Yield the files, then the links, which may stand before what they name; fill the folders."""
    files: dict[str | None, tarfile.TarInfo] = {}
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
            links.append((info, follow(name, info.name, start, info.linkname)))
        elif info.isfile():
            files[resolve(PurePosixPath(info.name))] = info
            yield Member(info.name, info.size, info)
        elif info.isdir():
            folders.append(info.name)
        else:
            raise refuse(name, info.name, "is a device or another special file")
    heads.end()
    _read_on(name, heads)
    further = {resolve(PurePosixPath(info.name)): target for info, target in links}
    for info, target in links:
        found = find_target(target, further, files)
        if found is None:
            raise refuse_dead(name, info.name, info.linkname)
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

"""What an open archive offers, of whatever format; what its files are read from, and written to."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
MOST_OPEN = 100  # files that are written at once
# Half as many again as ImageNet-1k holds; the list alone of so many takes some 3 GB of memory.
MAX_FILES = 2_000_000
# What a tar says of a member before its bytes: 512, a long name, attributes. More than any needs.
MOST_HEAD_BYTES, USUAL_HEAD_BYTES = 4 << 20, 16 << 10
PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"]\0\0": lzma.open,  # .lzma
}


class WriteError(Exception):
    """The disk, not the archive, is to blame."""


class Output:
    """A new file that says of its failures that they are the disk's."""

    def __init__(self, file: Path) -> None:
        """Create the file, which must not be there, and its folders."""
        with self._blaming_the_disk():
            file.parent.mkdir(parents=True, exist_ok=True)
            # Where `Cat` and `cat` are one name, one must not take the other's place.
            self._stream = file.open("xb")

    def write(self, data: bytes) -> None:
        """Write bytes."""
        with self._blaming_the_disk():
            self._stream.write(data)

    def close(self) -> None:
        """Close the file; once more does nothing."""
        with self._blaming_the_disk():
            self._stream.close()

    @staticmethod
    @contextmanager
    def _blaming_the_disk() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(error) from None


def inflate(archive: Path, head: bytes) -> Any:
    """Return a stream of what a file holds, unpacked where its first bytes say how."""
    opens = next((opens for magic, opens in PACKED.items() if head.startswith(magic)), None)
    is_tar = head[257:262] == b"ustar"  # of a member whose name begins as a packed file
    return archive.open("rb") if is_tar or opens is None else opens(archive)


class HeadsError(ValueError):
    """What stands before the members of a tar is without reason."""


class Heads:
    """The bytes of a tar, of which only so many are read as heads of members while it is listed.

    tarfile reads names, attributes and maps of holes whole, however long they say they are: packed,
    some kilobytes become all memory that there is.
    """

    def __init__(self, stream: Any) -> None:
        """Read from a stream of inflated bytes."""
        self._stream = stream
        self._left: float = MOST_HEAD_BYTES

    def read(self, size: int) -> bytes:
        """Read bytes of a head, or of a member once :meth:`end` was called."""
        self._left -= size
        if self._left < 0:
            raise HeadsError("what stands before its members is of more bytes than any needs")
        found: bytes = self._stream.read(size)
        return found

    def go_on(self) -> None:
        """Note that a member was listed; what its head left is for a longer one."""
        self._left = min(self._left + USUAL_HEAD_BYTES, MOST_HEAD_BYTES)

    def end(self) -> None:
        """Note that all members were listed."""
        self._left = float("inf")

    def seek(self, *where: int) -> int:
        """Go to a place."""
        place: int = self._stream.seek(*where)
        return place

    def tell(self) -> int:
        """Return the place."""
        place: int = self._stream.tell()
        return place


@dataclass(frozen=True)
class Member:
    """One file of an archive, wherever its bytes come from."""

    name: str
    bytes: int
    handle: Any
    guessed: str = ""  # the encoding that its name was read in, where nothing says which


Create = Callable[[Member], Output]


@dataclass(frozen=True)
class Archive:
    """An open archive."""

    members: Iterable[Member]  # its files; to reach the end of a tar is to read it whole
    # Writes the wanted members, in the archive's order, each to what the function opens for it.
    extract: Callable[[list[Member], Create], None]
    folders: list[str] = field(default_factory=list)  # filled while the members are listed


def extract_each(read: Callable[[Any], Any]) -> Any:
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

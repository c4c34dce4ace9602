"""What an open archive offers, of whatever format, and what its files are read from and written to.

The names of a zip may not say their encoding: it is told by what letters they would be.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
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
CYRILLIC = ("cp866", "cp1251")  # of a Russian Windows in its zips, and elsewhere
# First bytes of common characters; where another encoding is taken for this one, rare ones come.
EAST_ASIAN = {
    "cp932": {0x82, 0x83, *range(0x88, 0x98)},  # kana, and kanji of the first level
    "gb18030": set(range(0xB0, 0xD8)),
    "euc_kr": set(range(0xB0, 0xC9)),
    "big5": set(range(0xA4, 0xC7)),
}
COMMON = 0.8  # of the characters
# So many characters of Korean are hardly ever Chinese by chance, and fewer may well be.
SURELY_KOREAN = 8


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


def guess_encoding(names: Sequence[bytes], usual: str) -> str:
    """Return the encoding of some names, which are not UTF-8.

    Args:
        names: as they stand in the archive.
        usual: the encoding that the writing system would use in Western Europe; taken where its
            letters make sense, and where no other's do.
    """
    text = _decode(names, usual) or ""
    if text and all(map(_is_letter, _list_others(text))):
        return usual
    for encoding in CYRILLIC:
        if _is_cyrillic(_decode(names, encoding)):
            return encoding
    shares = {encoding: _share_common(names, encoding) for encoding in EAST_ASIAN}
    text = _decode(names, "euc_kr") or ""
    if shares["euc_kr"] == 1 and len(_list_others(text)) >= SURELY_KOREAN:
        return "euc_kr"
    best = max(shares, key=lambda encoding: shares[encoding])
    return best if shares[best] >= COMMON else usual


def _decode(names: Sequence[bytes], encoding: str) -> str | None:
    try:
        return "/".join(name.decode(encoding) for name in names)
    except UnicodeDecodeError:
        return None


def _list_others(text: str) -> list[str]:
    return [letter for letter in text if not letter.isascii()]


def _is_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LM"


def _is_cyrillic(text: str | None) -> bool:
    """Whether all words are of Cyrillic letters, or of none, and not of one letter alone."""
    words = "".join(c if _is_letter(c) else " " for c in text or "").split()
    others = [word for word in words if not word.isascii()]
    return (
        bool(others)
        and all(map(_is_letter, _list_others(text or "")))
        and any(len(word) > 2 for word in others)
        and all("CYRILLIC" in unicodedata.name(c, "") for word in others for c in word)
    )


def _share_common(names: Sequence[bytes], encoding: str) -> float:
    letters = _list_others(_decode(names, encoding) or "")
    # Halves of letters of the West come out as Japan's narrow letters, of a byte each.
    if not letters or not all(map(_is_letter, letters)):
        return 0.0
    codes = [letter.encode(encoding) for letter in letters]
    return sum(len(c) == 2 and c[0] in EAST_ASIAN[encoding] for c in codes) / len(codes)

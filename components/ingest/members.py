"""What an open archive offers, of whatever format, and what its files are written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


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

"""What one run leaves on the shared volume for the next, so that only what is new is read.

All of it is a help: what is damaged, gone or of other code does what was done without it. In the
volume's books lie, of each folder of images, what its source listed (`listings`); what validate
found in files, a folder a recipe (`seen`); and of each line of runs, of one source into one
experiment, the last splits and where the last shards are (`lines`).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.images.listing import LISTING, read_entries, read_note, write_listing
from components.common.images.stores.listing import Entry
from components.common.terminal import say
from pipelines.steps.shared.volume import BOOKS, PARTIAL, Volume, read_line, read_place

SPLITS = "splits.parquet"
SEEN, LINES, LISTINGS = "seen", "lines", "listings"
MOST_TABLES = 64  # of what was seen by one recipe; more are put together


@dataclass(frozen=True)
class Memory:
    """What a volume remembers."""

    volume: Volume

    @property
    def books(self) -> Path:
        """The folder of all of it."""
        return self.volume.mount / BOOKS

    def keep_listing(self, folder: Path, address: str, entries: Sequence[Entry]) -> None:
        """Keep what a source listed of the images in a folder."""
        write_listing(self._name_listing(folder), address, entries)

    def find_listing(self, folder: Path) -> Path | None:
        """Return what tells the contents of the images in a folder, or of a listing in it."""
        found = (folder / LISTING, self._name_listing(folder))
        return next((one for one in found if one.is_file()), None)

    def link_known(self, address: str, entries: Sequence[Entry], target: Path) -> list[Entry]:
        """Link the files that the last folder of a source has already; return the others.

        Args:
            address: of the source.
            entries: what it lists now.
            target: the new folder.
        """
        for listing in sorted((self.books / LISTINGS).glob("*.parquet"), key=_tell_age):
            folder = self.volume.mount / "images" / listing.stem
            try:
                if read_note(listing)["source"] != address or not folder.is_dir():
                    continue
                known = set(read_entries(listing))
            except (OSError, ValueError, LookupError, DarkroomError):
                continue  # a help that somebody damaged: then all is fetched
            return [one for one in entries if one not in known or not _link(one, folder, target)]
        return list(entries)

    def list_seen(self, recipe: str) -> list[Path]:
        """Return the tables of what was found by a recipe."""
        with suppress(OSError):  # none yet, or another's: how long ago it was used tells `clean`
            os.utime(self.books / SEEN / recipe)
        return sorted((self.books / SEEN / recipe).glob("*.parquet"))

    def add_seen(self, recipe: str, table: Path) -> None:
        """Add a table of what was found by a recipe; without room for it later runs look again."""
        folder = self.books / SEEN / recipe
        name = secrets.token_hex(8)
        half = folder / f"{name}{PARTIAL}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(table, half)
            half.rename(folder / f"{name}.parquet")
        except OSError as error:
            say(f"{folder}: cannot be written ({error.strerror}); later runs look again")
            with suppress(OSError):
                half.unlink(missing_ok=True)

    def put_together(self, recipe: str, join: Callable[[Sequence[Path], Path], int]) -> None:
        """Make one table of many, so that a year of nights is not a thousand files.

        Args:
            recipe: of the tables.
            join: writes one of several, and returns the number of its rows.
        """
        tables = self.list_seen(recipe)
        if len(tables) <= MOST_TABLES:
            return
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            if join(tables, Path(folder) / "all.parquet"):
                self.add_seen(recipe, Path(folder) / "all.parquet")
        for table in tables if len(self.list_seen(recipe)) > len(tables) else ():
            table.unlink(missing_ok=True)

    def note_line(self, line: str) -> None:
        """Note that a line goes on, for who would remove its shards."""
        with suppress(OSError):  # none yet, or another's
            os.utime(self.books / LINES / line)

    def list_lines(self) -> list[tuple[Path, Path]]:
        """Return the lines of runs: the book of each, and the folder of its last shards."""
        shards = self.volume.mount / "shards"
        return [
            (book, shards / self.volume.read(f"{LINES}/{book.name}/shards"))
            for book in sorted((self.books / LINES).glob("*"))
        ]

    def find_splits(self, line: str) -> Path | None:
        """Return the splits of the last run of a line."""
        file = self.books / LINES / line / SPLITS
        return file if line and file.is_file() else None

    def find_shards(self, line: str) -> Path | None:
        """Return the folder of the last shards of a line, if it is whole."""
        name = self.volume.read(f"{LINES}/{line}/shards") if line else ""
        folder = self.volume.mount / "shards" / name
        if not name.isalnum() or not self.volume.is_whole(folder):
            return None
        self.volume.note_use(folder)
        return folder

    def keep_shards(self, line: str, folder: Path) -> None:
        """Keep the splits of a run, and where its shards are.

        Args:
            line: of the run.
            folder: of both, on the volume.
        """
        if not line:
            return
        target = self.books / LINES / line / SPLITS
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / SPLITS, temporary)
            temporary.replace(target)
            self.volume.write(f"{LINES}/{line}/shards", folder.name)
        except OSError as error:
            say(f"{target}: cannot be written ({error.strerror}); the next run draws as if new")
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _name_listing(self, folder: Path) -> Path:
        return self.books / LISTINGS / f"{folder.name}.parquet"


def find_memory(place: str) -> tuple[Memory, Path, str] | None:
    """Return what the volume remembers, the folder of images, and the line of the run.

    Args:
        place: what tasks are told of images on the volume; empty: there is none.
    """
    if not place:
        return None
    folder = read_place(place)
    return Memory(Volume(folder.parents[1])), folder, read_line(place)


def name_line(*said: Any) -> str:
    """Return the name of a line of runs, by what they have in common."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _tell_age(file: Path) -> float:
    return -file.stat().st_mtime


def _link(entry: Entry, folder: Path, target: Path) -> bool:
    """Link a file of an earlier folder, and return whether that was done."""
    if not entry.digest:  # then a name and a size are all that is the same
        return False
    (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(folder / entry.path, target / entry.path)
    except OSError:  # gone, or a volume without links
        return False
    return True

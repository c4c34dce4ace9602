"""listing.parquet: images that lie in a store, so that each task reads those that it needs there.

A room takes it where it takes a folder of images. Nothing in it but the names, sizes and digests of
the images, and where they lie: the same images make the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import writing
from components.common.images.stores.listing import Entry, fetch_files, open_entries, place_in

LISTING = "listing.parquet"
NOTE = b"darkroom.images"  # key of the file's metadata: what it is, and the source of its images
GROUP = 50_000  # rows of a row group: whoever wants some rows reads theirs alone
SETTING = "the listing of images"


@dataclass(frozen=True)
class Images:
    """Images that a room reads: a folder, or some of a listing."""

    place: Path  # the folder, or the listing
    source: str = ""  # address that the entries are below; empty: a folder
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def pick(self, paths: Iterable[str]) -> Images:
        """Return these of the images: what a process that brings them must know."""
        if not self.source:
            return self
        found = {path: self.entries[path] for path in paths if path in self.entries}
        return Images(self.place, self.source, found)

    def has(self, path: str) -> bool:
        """Whether one of the images, or another file beside them, has this path."""
        return path in self.entries if self.source else (self.place / path).is_file()

    @contextmanager
    def bringing(self) -> Iterator[Path]:
        """Yield a folder that holds the images, for as long as the body runs.

        Raises:
            DarkroomError: if a store does not give one, or not as it was listed.
        """
        if not self.source:
            yield self.place
            return
        with tempfile.TemporaryDirectory(prefix="darkroom-") as name:
            folder = Path(name)
            remotes = open_entries(self.source, self.entries.values(), SETTING)
            fetch_files(place_in(folder, remotes, SETTING))
            yield folder


def open_images(images: Path, paths: Sequence[str]) -> Images:
    """Return some images of a folder, or of a listing; paths that it does not have are left out."""
    if not images.is_file():
        return Images(images)
    import pyarrow.parquet as pq

    note = read_note(images)
    with _reading(images):
        rows = pq.read_table(images, filters=[("path", "in", list(paths))]) if paths else None
        found = [Entry(**row) for row in rows.to_pylist()] if rows else []
        return Images(images, str(note["source"]), {entry.path: entry for entry in found})


def read_entries(listing: Path) -> list[Entry]:
    """Return all entries of a listing."""
    import pyarrow.parquet as pq

    with _reading(listing):
        return [Entry(**row) for row in pq.read_table(listing).to_pylist()]


def count_files(images: Path) -> int:
    """Return how many files a folder holds, whatever they are, or how many a listing names."""
    if not images.is_file():
        return sum(len(files) for _, _, files in os.walk(images, followlinks=False))
    import pyarrow.parquet as pq

    read_note(images)
    with _reading(images):
        return int(pq.read_metadata(images).num_rows)


def list_paths(listing: Path) -> list[str]:
    """Return the paths of all images of a listing, sorted."""
    import pyarrow.parquet as pq

    read_note(listing)
    with _reading(listing):
        paths: list[str] = pq.read_table(listing, columns=["path"])["path"].to_pylist()
        return paths


@contextmanager
def _reading(listing: Path) -> Iterator[None]:
    """Raise DarkroomError where a listing cannot be read, or holds other things."""
    import pyarrow as pa

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DarkroomError(
            f"{listing}: a damaged listing of images ({error!r}); list them again"
        ) from None


def read_note(listing: Path) -> dict[str, Any]:
    """Return what a listing says of itself: `source`, and other things that its reader must know.

    Raises:
        DarkroomError: if it is no listing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        note = json.loads((pq.read_schema(listing).metadata or {}).get(NOTE, b"null"))
    except (OSError, pa.ArrowInvalid, ValueError, RecursionError):
        note = None
    if not isinstance(note, dict):
        raise DarkroomError(
            f"{listing}: neither a folder of images nor a listing of some; see docs/kubeflow.md"
        )
    return note


def write_listing(file: Path, source: str, entries: Sequence[Entry]) -> None:
    """Write a listing, sorted by path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(entries, key=lambda entry: entry.path)
    kinds = {"bytes": pa.int64()}
    schema = pa.schema(
        [(one.name, kinds.get(one.name, pa.string())) for one in fields(Entry)],
        metadata={NOTE: json.dumps({"source": source})},
    )
    columns = {name: [getattr(entry, name) for entry in ordered] for name in schema.names}
    with writing(file) as temporary:
        pq.write_table(pa.table(columns, schema), temporary, row_group_size=GROUP)


def compute_digest(entries: Iterable[Entry]) -> str:
    """Return the sha256 of what is listed: it changes with the images, not with where they lie."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path):
        total.update(json.dumps([entry.path, entry.bytes, entry.digest]).encode())
    return total.hexdigest()

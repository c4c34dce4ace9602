"""The listing of a batch: which images, in which partitions, and by what a changed one is known.

It is a Parquet file with a row group a partition, so that whoever answers a partition reads its own
rows and no others, however many images there are.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from components.common.errors import DarkroomError
from components.common.files.writing import writing
from components.common.images.pixels import SUFFIXES
from components.common.images.stores.listing import MODULES, list_store
from components.common.images.stores.transfer import Remote
from components.common.settings.addresses import hide_secrets, is_address, refuse_secrets
from components.predict.batch.notes import LISTING, is_ours, read_note, take_note, write_note
from components.predict.listing import (
    NO_SUFFIX,
    STDIN,
    describe_skipped,
    read_words,
    refuse_pipe,
    walk_images,
)

LISTING_FILE = "listing.parquet"
SOURCE = "SOURCE"  # what it is called in messages


@dataclass(frozen=True)
class Asked:
    """One image that is asked about."""

    path: bytes  # of a file, whose name need not be UTF-8; or an address
    bytes: int | None  # None: it was not there, or the store does not say
    mark: str  # changes when the image does: its time, or what a store tells; empty: not there


@dataclass(frozen=True)
class Listing:
    """What a listing says of itself."""

    source: str
    model: str  # the version that is to answer, whatever an alias means later
    partition_images: int
    images: int
    partitions: int
    skipped: dict[str, int] = field(default_factory=dict)  # files that are no images, by suffix

    def describe(self) -> str:
        """Return `25,000 images in 3 partitions` and how many files are no images."""
        counts = f"{self.images:,} image{'' if self.images == 1 else 's'} in "
        counts += f"{self.partitions:,} partition{'' if self.partitions == 1 else 's'}"
        left_out = describe_skipped(Counter(self.skipped))
        return f"{counts}; {left_out}" if left_out else counts


def write_listing(file: Path, source: str, model: str, partition_images: int) -> Listing:
    """List the images behind a source, a partition at a time; return what the listing says.

    Args:
        file: Parquet to write; a listing that is there is replaced, nothing else.
        source: a folder, an image, `@FILE` with a path in each line, or the address of a folder of
            a store.
        model: the version that is to answer.
        partition_images: images of a partition; the last may have fewer.

    Raises:
        DarkroomError: if there is no such source, no image in it, or something else in the way.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("path", pa.binary()), ("bytes", pa.int64()), ("mark", pa.string())])
    name, skipped, images, partitions = hide_secrets(source), Counter[str](), 0, 0
    rows = _list_rows(source, skipped)
    with writing(file, edits=is_ours(file, LISTING)) as temporary:
        with pq.ParquetWriter(temporary, schema) as writer:
            while own := list(islice(rows, partition_images)):
                table = pa.Table.from_pylist([asdict(row) for row in own], schema)
                writer.write_table(table, row_group_size=partition_images)
                images, partitions = images + len(own), partitions + 1
            found = Listing(name, model, partition_images, images, partitions, dict(skipped))
            write_note(writer, LISTING, asdict(found))
        if not images:
            left_out = describe_skipped(skipped)
            raise DarkroomError(
                f"no images in {name}: nothing to answer" + (f" ({left_out})" if left_out else "")
            )
    return found


def read_listing(file: Path) -> Listing:
    """Return what a listing says of itself.

    Raises:
        DarkroomError: if it is no listing.
    """
    note = take_note(Listing, read_note(file, LISTING))
    if note is None:
        raise DarkroomError(f"{file}: no listing of a batch, or damaged; list the images anew")
    return note


def read_rows(file: Path, partition: int) -> list[Asked]:
    """Return the images of one partition.

    Args:
        file: of :func:`write_listing`.
        partition: its number, from 0.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as listing:
            return [Asked(**row) for row in listing.read_row_group(partition).to_pylist()]
    except (OSError, ValueError, IndexError, TypeError, pa.ArrowException) as error:
        raise DarkroomError(f"{file}: a damaged listing ({error}); list the images anew") from None


def compute_digest(rows: Iterable[Asked]) -> str:
    """Return the sha256 of what images a partition asks about; another image gives another."""
    total = hashlib.sha256()
    for row in rows:
        total.update(f"{len(row.path)} {row.bytes} {row.mark} ".encode() + row.path)
    return total.hexdigest()


def check_source(source: str) -> None:
    """Refuse a source that no listing can be made of.

    Raises:
        DarkroomError: naming what is legal.
    """
    refuse_secrets(source, SOURCE)
    if source == STDIN or (is_address(source) and not is_store(source)):
        raise DarkroomError(
            f"{SOURCE} {hide_secrets(source)}: a batch is asked about again and again, so it must "
            "stay where it is: give a folder, @FILE with a path in each line, or the address of a "
            "folder, s3://…, gs://… or hf://…"
        )


def is_store(source: str) -> bool:
    """Whether a source is the address of a store."""
    return source.lower().startswith(tuple(f"{scheme}://" for scheme in MODULES))


def list_remotes(source: str) -> dict[bytes, Remote]:
    """Return the images of a store, by the paths that a listing has for them."""
    found = list_store(source, SOURCE).files
    return {os.fsencode(one.name): one for one in sorted(found, key=lambda one: one.path)}


def tell_mark(remote: Remote) -> str:
    """Return what changes when an object of a store does."""
    return remote.mark or ":".join(remote.digest) or "there"


def _list_rows(source: str, skipped: Counter[str]) -> Iterator[Asked]:
    check_source(source)
    if is_store(source):
        for path, remote in list_remotes(source).items():
            suffix = PurePosixPath(remote.path).suffix.lower()
            if suffix in SUFFIXES:
                yield Asked(path, remote.bytes, tell_mark(remote))
            else:  # to look into it would be to fetch it
                skipped[suffix or NO_SUFFIX] += 1
        return
    is_list = source.startswith("@") and not os.path.lexists(source)
    if not is_list and not Path(source).exists():
        raise DarkroomError(f"{SOURCE} {source}: no such file or folder")
    for named in read_words([source]):
        if isinstance(named, bytes):
            continue  # a picture comes through a pipe alone, which is none of ours
        if named.is_dir():
            yield from map(_describe, walk_images(named, skipped))
        else:
            yield _describe(named)


def _describe(file: Path) -> Asked:
    """Return what a file is known by; one that is not there answers its row with that reason."""
    refuse_pipe(str(file), "an image")
    path = os.fsencode(file)
    try:
        found = file.stat()
    except (OSError, ValueError):
        return Asked(path, None, "")
    return Asked(path, found.st_size, str(found.st_mtime_ns))

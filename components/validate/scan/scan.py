"""Open every file once, on all cores, and keep only its row: pictures do not pile up in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.files.laid import LaidTable
from components.common.host import can_share_work, count_cores
from components.common.images.listing import Images, open_images
from components.common.terminal import bar
from components.validate.copies.sketchbook import Sketchbook
from components.validate.scan.confined import (
    Inspect,
    Limits,
    Row,
    confine,
    inspect_apart,
    inspect_in_time,
)
from components.validate.scan.picture import MEASURED, inspect_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK = 64  # files that a worker takes at once: 64 rows travel back in one message
AHEAD = 4  # chunks that wait for each worker


@dataclass(frozen=True)
class Chunk:
    """Files that a worker takes at once; of a listing it brings them, and no more."""

    images: Images
    paths: Sequence[str]

    def inspect(self, inspect: Inspect, limits: Limits, *, apart: bool = False) -> list[Row]:
        """Return the rows of its files; apart: each file may end the process that decodes it."""
        with self.images.bringing() as folder:
            files = [os.path.join(folder, path) for path in self.paths]  # noqa: PTH118 - fast
            if apart:
                return inspect_apart(inspect, limits, files)
            return [inspect_in_time(inspect, limits, file) for file in files]


@dataclass(frozen=True)
class Chunks:
    """All files, in chunks that are made when they are wanted."""

    images: Images
    paths: Sequence[str]

    def __len__(self) -> int:
        """Return how many chunks there are."""
        return (len(self.paths) + CHUNK - 1) // CHUNK

    def __getitem__(self, number: int) -> Chunk:
        """Return a chunk."""
        part = list(self.paths[number * CHUNK : (number + 1) * CHUNK])
        return Chunk(self.images.pick(part), part)


def scan_files(
    folder: Path,
    paths: Sequence[str],
    min_side_px: int,
    max_megapixels: float,
    frames: str = "reject",
    *,
    limits: Limits | None = None,
    book: Sketchbook | None = None,
) -> pd.DataFrame:
    """Inspect files on all cores this process may use.

    Args:
        folder: folder of images, or a listing of some.
        paths: files in it.
        min_side_px: an image narrower or lower is quarantined.
        max_megapixels: an image of more million pixels is quarantined without decoding it.
        frames: `first`, or `reject` what has more than one.
        limits: a file that takes more is quarantined; None: those of Limits.
        book: receives the sketch of each file, if there is one.

    Returns:
        A row a path, in their order: sha256, bytes … status, reason, `remarks`, and `sketch` where
        there is no book.
    """
    import pyarrow as pa

    inspect = partial(
        inspect_file, min_side_px=min_side_px, max_megapixels=max_megapixels, frames=frames
    )
    images = open_images(folder, paths)
    chunks = Chunks(images, paths)
    schema = create_schema()
    if book:
        schema = schema.remove(schema.get_field_index("sketch"))
    rows = _Rows(LaidTable(schema))
    with bar("reading", "images", len(paths)) as progress:
        for number, found in _inspect_chunks(inspect, limits or Limits(), chunks):
            # By columns: from rows the same takes seven times as long.
            columns = {name: [row[name] for row in found] for name in schema.names}
            rows.add(number, pa.RecordBatch.from_pydict(columns, schema=schema))
            if book:
                book.put(number * CHUNK, [row["sketch"] for row in found])
            progress.update(len(found))
    return read_rows(rows.finish())


class _Rows:
    """The rows of chunks, which come in any order, on their way to the disk."""

    def __init__(self, table: LaidTable) -> None:
        self._table = table
        self._early: dict[int, pa.RecordBatch] = {}  # those before them are not there yet
        self._next = 0

    def add(self, number: int, rows: pa.RecordBatch) -> None:
        import pyarrow as pa

        self._early[number] = rows
        while (ready := self._early.pop(self._next, None)) is not None:
            self._table.write(pa.Table.from_batches([ready]))
            self._next += 1

    def finish(self) -> pa.Table:
        return self._table.read()


def read_rows(table: pa.Table) -> pd.DataFrame:
    """Return rows as pandas has them; lists and sketches stay Arrow's, which takes less."""
    import pandas as pd
    import pyarrow as pa

    kept = {kind: pd.ArrowDtype(kind) for kind in (pa.list_(pa.string()), pa.large_binary())}
    return table.to_pandas(types_mapper=kept.get)


def _inspect_chunks(
    inspect: Inspect, limits: Limits, chunks: Chunks
) -> Iterator[tuple[int, list[Row]]]:
    """Yield (number, rows) of each chunk when it is done; what kills its worker is found out."""
    waiting = list(range(len(chunks)))[::-1]
    if not can_share_work():
        yield from ((n, chunks[n].inspect(inspect, limits, apart=True)) for n in waiting[::-1])
        return
    while waiting:
        lost: list[int] = []
        for number, rows in _inspect_until_crash(inspect, limits, chunks, waiting):
            if rows is None:
                lost.append(number)
            else:
                yield number, rows
        # Whatever ran beside the file that killed a worker is lost with it.
        for number in lost:
            yield number, chunks[number].inspect(inspect, limits, apart=True)


def _inspect_until_crash(
    inspect: Inspect, limits: Limits, chunks: Chunks, waiting: list[int]
) -> Iterator[tuple[int, list[Row] | None]]:
    """Yield (number, rows) of chunks taken off `waiting`; None for those a crash took along."""
    workers = min(count_cores(), len(waiting))
    running: dict[Future[list[Row]], int] = {}
    with ProcessPoolExecutor(workers, initializer=confine, initargs=(limits, os.getpid())) as pool:
        whole = True
        while running or (waiting and whole):
            while waiting and whole and len(running) < AHEAD * workers:
                try:
                    future = pool.submit(chunks[waiting[-1]].inspect, inspect, limits)
                    running[future] = waiting.pop()
                except BrokenProcessPool:
                    whole = False
            done = _await_some(pool, running)
            for future in done:
                number = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    whole = False
                    yield number, None
                else:
                    yield number, future.result()


def _await_some(pool: ProcessPoolExecutor, running: Iterable[Future[list[Row]]]) -> set[Any]:
    """Return what is done; who is stopped meanwhile begins nothing more."""
    try:
        return wait(running, return_when=FIRST_COMPLETED).done
    except BaseException:  # Ctrl-C and SIGTERM too: it goes on up, without the files that wait
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def create_schema() -> Any:
    """Return the columns of :func:`scan_files`, as Arrow has them."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = {name: kinds[type(value)] for name, value in MEASURED.items()}
    said = {"status": pa.string(), "reason": pa.string(), "remarks": pa.list_(pa.string())}
    return pa.schema(fields | said | {"sketch": pa.binary()})

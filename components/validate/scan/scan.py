"""Open every file once, on all cores, and keep only its row: pictures do not pile up in memory."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import QUARANTINED
from components.common.host import count_cores
from components.common.images.listing import Images, open_images
from components.common.terminal import bar
from components.validate.scan.picture import MEASURED, NOT_SEEN, inspect_file

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Inspect = Callable[[str], Row]
CHUNK = 64  # files that a worker takes at once: 64 rows travel back in one message
AHEAD = 4  # chunks that wait for each worker


@dataclass(frozen=True)
class Chunk:
    """Files that a worker takes at once; of a listing it brings them, and no more."""

    images: Images
    paths: Sequence[str]

    def halve(self) -> tuple[Chunk, Chunk]:
        """Return its two halves."""
        half = len(self.paths) // 2
        first, second = self.paths[:half], self.paths[half:]
        return Chunk(self.images.pick(first), first), Chunk(self.images.pick(second), second)


def scan_files(
    folder: Path,
    paths: Sequence[str],
    min_side_px: int,
    max_megapixels: float,
    frames: str = "reject",
) -> pd.DataFrame:
    """Inspect files on all cores this process may use.

    Args:
        folder: folder of images, or a listing of some.
        paths: files in it.
        min_side_px: an image narrower or lower is quarantined.
        max_megapixels: an image of more million pixels is quarantined without decoding it.
        frames: `first`, or `reject` what has more than one.

    Returns:
        A row a path, in their order: sha256, bytes … status, reason, `remarks`, and `sketch`.
    """
    import pyarrow as pa

    inspect = partial(
        inspect_file, min_side_px=min_side_px, max_megapixels=max_megapixels, frames=frames
    )
    images = open_images(folder, paths)
    parts = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    chunks = [Chunk(images.pick(part), part) for part in parts]
    schema = _create_schema()
    found: list[pa.RecordBatch | None] = [None] * len(chunks)
    with bar("reading", "images", len(paths)) as progress:
        for number, rows in _inspect_chunks(inspect, chunks):
            # By columns: from rows the same takes seven times as long.
            columns = {name: [row[name] for row in rows] for name in schema.names}
            found[number] = pa.RecordBatch.from_pydict(columns, schema=schema)
            progress.update(len(rows))
    return pa.Table.from_batches(found, schema=schema).to_pandas()


def _inspect_chunks(inspect: Inspect, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Row]]]:
    """Yield (number, rows) of each chunk when it is done; what kills its worker is found out."""
    waiting = list(range(len(chunks)))[::-1]
    while waiting:
        lost: list[int] = []
        for number, rows in _inspect_until_crash(inspect, chunks, waiting):
            if rows is None:
                lost.append(number)
            else:
                yield number, rows
        # Whatever ran beside the file that killed a worker is lost with it.
        for number in lost:
            yield number, _inspect_apart(inspect, chunks[number])


def _inspect_until_crash(
    inspect: Inspect, chunks: Sequence[Chunk], waiting: list[int]
) -> Iterator[tuple[int, list[Row] | None]]:
    """Yield (number, rows) of chunks taken off `waiting`; None for those a crash took along."""
    workers = min(count_cores(), len(waiting))
    running: dict[Future[list[Row]], int] = {}
    with ProcessPoolExecutor(workers, initializer=_silence) as pool:
        whole = True
        while running or (waiting and whole):
            while waiting and whole and len(running) < AHEAD * workers:
                try:
                    running[pool.submit(_inspect_chunk, inspect, chunks[waiting[-1]])] = waiting[-1]
                    waiting.pop()
                except BrokenProcessPool:
                    whole = False
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    whole = False
                    yield number, None
                else:
                    yield number, future.result()


def _silence() -> None:
    """Keep decoders' remarks on odd files off the terminal: what matters is in `reason`.

    What a store does wrong is still told.
    """
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes past Python


def _inspect_chunk(inspect: Inspect, chunk: Chunk) -> list[Row]:
    with chunk.images.bringing() as folder:
        return [inspect(os.path.join(folder, path)) for path in chunk.paths]  # noqa: PTH118 - fast


def _inspect_apart(inspect: Inspect, chunk: Chunk) -> list[Row]:
    """Return the rows of files, halving them until the one that kills its process stands alone."""
    with ProcessPoolExecutor(1, initializer=_silence) as pool:
        try:
            return pool.submit(_inspect_chunk, inspect, chunk).result()
        except BrokenProcessPool:
            pass
    if len(chunk.paths) == 1:
        reason = "damaged: it makes the decoder crash"
        return [MEASURED | {"status": QUARANTINED, "reason": reason} | NOT_SEEN]
    first, second = chunk.halve()
    return _inspect_apart(inspect, first) + _inspect_apart(inspect, second)


def _create_schema() -> Any:
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = {name: kinds[type(value)] for name, value in MEASURED.items()}
    said = {"status": pa.string(), "reason": pa.string(), "remarks": pa.list_(pa.string())}
    return pa.schema(fields | said | {"sketch": pa.binary()})

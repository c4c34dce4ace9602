"""Open every file once, on all cores, and keep only its row: pictures do not pile up in memory."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import QUARANTINED
from components.common.host import can_share_work, count_cores, end_with_parent
from components.common.terminal import bar
from components.validate.picture import MEASURED, NOT_SEEN, inspect_file

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Files = Sequence[str]
Inspect = Callable[[str], Row]
CHUNK = 64  # files that a worker takes at once: 64 rows travel back in one message
AHEAD = 4  # chunks that wait for each worker


@dataclass(frozen=True)
class Limits:
    """What one file may cost; a decoder that wants more is ended with its process."""

    seconds: float = 60  # of a core
    memory_mb: float = 2048  # beyond what the process has at its start


def scan_files(
    folder: Path,
    paths: Sequence[str],
    min_side_px: int,
    max_megapixels: float,
    frames: str = "reject",
    *,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Inspect files on all cores this process may use.

    Args:
        folder: folder of images.
        paths: files in it.
        min_side_px: an image narrower or lower is quarantined.
        max_megapixels: an image of more million pixels is quarantined without decoding it.
        frames: `first`, or `reject` what has more than one.
        limits: a file that takes more is quarantined; None: those of Limits.

    Returns:
        A row a path, in their order: sha256, bytes … status, reason, `remarks`, and `sketch`.
    """
    import pyarrow as pa

    inspect = partial(
        inspect_file, min_side_px=min_side_px, max_megapixels=max_megapixels, frames=frames
    )
    chunks = [
        [os.path.join(folder, path) for path in paths[start : start + CHUNK]]  # noqa: PTH118 - fast
        for start in range(0, len(paths), CHUNK)
    ]
    schema = _create_schema()
    found: list[pa.RecordBatch | None] = [None] * len(chunks)
    with bar("reading", "images", len(paths)) as progress:
        for number, rows in _inspect_chunks(inspect, limits or Limits(), chunks):
            # By columns: from rows the same takes seven times as long.
            columns = {name: [row[name] for row in rows] for name in schema.names}
            found[number] = pa.RecordBatch.from_pydict(columns, schema=schema)
            progress.update(len(rows))
    return pa.Table.from_batches(found, schema=schema).to_pandas()


def _inspect_chunks(
    inspect: Inspect, limits: Limits, chunks: Sequence[Files]
) -> Iterator[tuple[int, list[Row]]]:
    """Yield (number, rows) of each chunk when it is done; what kills its worker is found out."""
    waiting = list(range(len(chunks)))[::-1]
    if not can_share_work():
        yield from ((n, _inspect_apart(inspect, limits, chunks[n])) for n in waiting[::-1])
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
            yield number, _inspect_apart(inspect, limits, chunks[number])


def _inspect_until_crash(
    inspect: Inspect, limits: Limits, chunks: Sequence[Files], waiting: list[int]
) -> Iterator[tuple[int, list[Row] | None]]:
    """Yield (number, rows) of chunks taken off `waiting`; None for those a crash took along."""
    workers = min(count_cores(), len(waiting))
    running: dict[Future[list[Row]], int] = {}
    with ProcessPoolExecutor(workers, initializer=_confine, initargs=(limits, os.getpid())) as pool:
        whole = True
        while running or (waiting and whole):
            while waiting and whole and len(running) < AHEAD * workers:
                try:
                    future = pool.submit(_inspect_chunk, inspect, limits, chunks[waiting[-1]])
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
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _confine(limits: Limits, parent: int) -> None:
    """Keep a worker quiet, its memory below a limit, and its life no longer than ours."""
    end_with_parent(parent)
    warnings.filterwarnings("ignore", module="PIL")  # of odd files; what matters is in `reason`
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes past Python
    status = Path("/proc/self/status")  # of Linux; elsewhere the limit is not kept
    if status.is_file():
        import resource

        words = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        most = int(words["VmData"].split()[0]) * 1024 + int(limits.memory_mb * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _inspect_chunk(inspect: Inspect, limits: Limits, files: Files) -> list[Row]:
    return [_inspect_in_time(inspect, limits, file) for file in files]


def _inspect_in_time(inspect: Inspect, limits: Limits, file: str) -> Row:
    """Inspect a file, or end this process: a decoder in C hears of no other limit."""
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        return inspect(file)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _inspect_apart(inspect: Inspect, limits: Limits, files: Files) -> list[Row]:
    """Return the rows of files; one that ends its process is known by the rows before it."""
    rows: list[Row] = []
    while len(rows) < len(files):
        receiver, sender = Pipe(duplex=False)
        left = files[len(rows) :]
        process = Process(target=_send_rows, args=(inspect, limits, left, sender, os.getpid()))
        process.start()
        sender.close()
        with receiver, suppress(EOFError, OSError):  # it was ended, maybe within a row
            while len(rows) < len(files):
                if isinstance(found := receiver.recv(), Exception):
                    raise found  # a mistake of ours
                rows.append(found)
        process.join()
        if len(rows) < len(files):
            rows.append(_reject(process.exitcode, limits))
    return rows


def _send_rows(inspect: Inspect, limits: Limits, files: Files, sender: Any, parent: int) -> None:
    _confine(limits, parent)
    try:
        for file in files:
            sender.send(_inspect_in_time(inspect, limits, file))
    except Exception as error:
        sender.send(error)


def _reject(code: int | None, limits: Limits) -> Row:
    """Return the row of a file that ended the process which decoded it."""
    reasons = {
        -signal.SIGPROF: f"too slow: more than {limits.seconds:g} s of a core to decode it, as "
        "validate.max_decode_seconds says",
        -signal.SIGKILL: "too large: the system ended the process that decoded it, as it does "
        "where memory runs out",
    }
    reason = reasons.get(code or 0, "damaged: it makes the decoder crash")
    return MEASURED | {"status": QUARANTINED, "reason": reason} | NOT_SEEN


def _create_schema() -> Any:
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = {name: kinds[type(value)] for name, value in MEASURED.items()}
    said = {"status": pa.string(), "reason": pa.string(), "remarks": pa.list_(pa.string())}
    return pa.schema(fields | said | {"sketch": pa.binary()})

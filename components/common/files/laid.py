"""Tables that lie on disk while they are worked on: memory holds what is looked at.

Texts are most of a row: of a manifest's 400 bytes three digests and a path are 300. Laid down in
files without a name, and mapped, they are pages that the system reads when they are wanted, and
takes back where memory is short.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from components.common.errors import DarkroomError
from components.common.host import describe_memory, find_free_memory

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS = 20_000  # that are in memory at once, on their way to the disk
_FOLDER = ContextVar[Path | None]("folder", default=None)


@contextmanager
def laying_in(folder: Path) -> Iterator[None]:
    """Let tables lie on the disk of a folder while the body runs; else where temporary files are.

    Raises:
        DarkroomError: if the folder cannot be made.
    """
    token = _FOLDER.set(folder)
    try:
        with _telling():
            folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        _FOLDER.reset(token)


@contextmanager
def _telling() -> Iterator[None]:
    """Tell where a table cannot be laid."""
    try:
        yield
    except OSError as error:
        place = _FOLDER.get() or tempfile.gettempdir()
        raise DarkroomError(
            f"{place}: cannot be written ({error.strerror}); make room, or mend its permissions"
        ) from None


def check_memory(count: int, image_bytes: int, advice: str, least_bytes: int = 0) -> None:
    """Refuse what would run out of memory after an hour.

    Args:
        count: of the images.
        image_bytes: that each of them takes, at the most that was measured.
        advice: what can be done, beside more memory.
        least_bytes: that are taken whatever their number.

    Raises:
        DarkroomError: if they take more than is free, of the machine, its container, or
            machine.memory_gb.
    """
    need, free = least_bytes + count * image_bytes, find_free_memory()
    if need > free:
        raise DarkroomError(
            f"{count:,} images take about {need / 1e9:,.1f} GB of memory here, "
            f"{image_bytes:,} bytes each, and {describe_memory(free)}: give this machine, or its "
            f"container, more; {advice}"
        )


class LaidTable:
    """A table that is written once, in parts, and then read from its disk; no file stays.

    Each column is one piece: what is taken out of it, or written of it as Parquet, is then the
    same whatever parts it was written in.
    """

    def __init__(self, schema: pa.Schema) -> None:
        """Begin an empty table.

        Args:
            schema: of the table; texts become Arrow's large ones, which pandas reads without a
                copy; what is neither text nor bytes nor number stays in memory.

        Raises:
            DarkroomError: if nothing can be written there.
        """
        import pyarrow as pa

        large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
        kinds = [(one.name, large.get(one.type, one.type)) for one in schema]
        self.schema = pa.schema(kinds)
        self._columns = {name: _choose(kind)(kind) for name, kind in kinds}

    def write(self, rows: pa.Table) -> None:
        """Add rows, a table with the columns of the schema, behind those that are there.

        Raises:
            DarkroomError: if the disk is full.
        """
        for name, column in self._columns.items():
            column.write(rows[name].cast(column.kind).combine_chunks())

    def read(self) -> pa.Table:
        """Return the whole table, mapped; no more can be added."""
        import pyarrow as pa

        return pa.table([one.read() for one in self._columns.values()], self.schema)


class _Kept:
    """A column in memory."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self._parts: list[pa.Array] = []

    def write(self, values: pa.Array) -> None:
        self._parts.append(values)

    def read(self) -> pa.Array:
        import pyarrow as pa

        return pa.chunked_array(self._parts, self.kind).combine_chunks()


class _Numbers:
    """A column of numbers as they are in memory; of whole ones none may be missing."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self._file = _open()
        self._count = 0

    def write(self, values: pa.Array) -> None:
        if values.null_count and self.kind == "double":
            values = values.fill_null(float("nan"))
        own = values.to_numpy()  # ValueError where one is missing
        with _telling():
            self._file.write(own.data)
        self._count += len(values)

    def read(self) -> pa.Array:
        import pyarrow as pa

        return pa.Array.from_buffers(self.kind, self._count, [None, _map(self._file)])


class _Texts:
    """A column of texts or bytes: all of them one behind the other, and where each ends."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self._ends, self._data = _open(), _open()
        self._ends.write(bytes(8))
        self._count = self._bytes = 0
        self._missing: list[np.ndarray] = []  # rows

    def write(self, values: pa.Array) -> None:
        _, ends, data = values.buffers()
        own = np.frombuffer(ends, np.int64)[values.offset : values.offset + len(values) + 1]
        with _telling():
            self._ends.write((own[1:] - own[0] + self._bytes).data)
            if data is not None:
                self._data.write(memoryview(data)[own[0] : own[-1]])
        if values.null_count:
            missing = values.is_null().to_numpy(zero_copy_only=False)
            self._missing.append(np.flatnonzero(missing) + self._count)
        self._count, self._bytes = self._count + len(values), self._bytes + int(own[-1] - own[0])

    def read(self) -> pa.Array:
        import pyarrow as pa

        there, missing = None, np.concatenate([np.zeros(0, np.int64), *self._missing])
        if len(missing):
            known = np.ones(self._count, bool)
            known[missing] = False
            there = pa.py_buffer(np.packbits(known, bitorder="little"))
        buffers = [there, _map(self._ends), _map(self._data)]
        return pa.Array.from_buffers(self.kind, self._count, buffers, len(missing))


def _choose(kind: pa.DataType) -> type[_Kept | _Numbers | _Texts]:
    import pyarrow as pa

    if kind in (pa.large_string(), pa.large_binary()):
        return _Texts
    return _Numbers if kind in (pa.int64(), pa.float64()) else _Kept


def _open() -> IO[bytes]:
    with _telling():
        return tempfile.TemporaryFile(dir=_FOLDER.get())


def _map(file: IO[bytes]) -> pa.Buffer:
    """Return what is in a file, mapped; the file is closed, and gone with the buffer."""
    import pyarrow as pa

    # Written as a file, not into mapped memory: a full disk would end the process there.
    with _telling(), file:
        file.flush()
        if not file.tell():
            return pa.py_buffer(b"")
        return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def reorder(table: pa.Table, order: np.ndarray) -> pa.Table:
    """Return the rows of a table in another order, laid down again.

    Args:
        table: of :meth:`LaidTable.read`.
        order: (rows,) which row of the table is the first, the second …
    """
    if (order == np.arange(len(order))).all():
        return table
    laid = LaidTable(table.schema)
    for first in range(0, len(order), ROWS):
        laid.write(table.take(order[first : first + ROWS]))
    return laid.read()


def lay_down(table: pd.DataFrame, rows: np.ndarray | None = None) -> pd.DataFrame:
    """Return a table with the same rows, or with some of them, whose texts lie on disk.

    Args:
        table: with numbers and texts.
        rows: positions, in order; the result then counts its rows from 0.
    """
    import pandas as pd

    # Column by column: a copy of all of them would be as large as what shall not be in memory.
    columns = {}
    for name in table.columns:
        column = table[name]
        if rows is not None:
            column = column.iloc[rows].reset_index(drop=True)
        columns[name] = lay_text(column)
    found = pd.DataFrame(columns, table.index if rows is None else range(len(rows)))
    found.attrs = table.attrs
    return found


def lay_text(column: pd.Series) -> pd.Series:
    """Return a column of texts that lies on disk; another one as it is."""
    import pandas as pd
    import pyarrow as pa

    if not isinstance(column.dtype, pd.StringDtype):
        return column
    laid = _Texts(pa.large_string())
    for start in range(0, len(column), ROWS):
        part = pa.array(column.iloc[start : start + ROWS], pa.large_string())
        laid.write(part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part)
    return pd.Series(column.dtype.__from_arrow__(laid.read()), column.index, column.dtype)


def lay_texts(parts: Iterator[list[str]]) -> pd.Series:
    """Return texts that come in parts, on disk, as a column of pandas."""
    import pandas as pd
    import pyarrow as pa

    laid = _Texts(pa.large_string())
    for part in parts:
        laid.write(pa.array(part, pa.large_string()))
    kind = pd.StringDtype(na_value=np.nan)
    return pd.Series(kind.__from_arrow__(laid.read()), dtype=kind)

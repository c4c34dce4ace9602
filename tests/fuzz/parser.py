"""A parser under test: a function of bytes, and whole inputs from which others are made."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[bytes], object]


@dataclass(frozen=True)
class Parser:
    """One parser."""

    run: Run
    seeds: Callable[[], list[bytes]]  # whole inputs, from which others are made


def with_file(read: Callable[[Path], object], name: str) -> Run:
    """Return a function of bytes of one that wants a file of some name in an empty folder."""

    def run(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(data)
            return read(file)

    return run


def write_parquet(**columns: list[Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def seed_parquet() -> list[bytes]:
    return [write_parquet(path=["a.jpg"], sha256=["0"], label=["cat"], p_cat=[1.0], z_cat=[0.5])]

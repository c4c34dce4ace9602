"""Write answers as they come: CSV to the terminal or a file, or Parquet."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from components.common.errors import DarkroomError
from components.common.files.cells import shield_path, shield_text
from components.common.files.ownership import check_file
from components.common.files.writing import writing

COLUMNS = ("path", "label", "probability", "unsure", "reason")
# Where the version carries limits for them: whether an image is of no class; a list of class names,
# in CSV as JSON, since names may hold any character.
UNKNOWN, SETS = "unknown", "sets"
SUFFIXES = (".csv", ".parquet")
Row = dict[str, Any]
Write = Callable[[list[Row]], None]


def check_output(output: str) -> None:
    """Raise DarkroomError if the answers cannot be written as this."""
    if output != "-" and Path(output).is_dir():
        raise DarkroomError(f"--output {output}: is a folder; give the name of a file in it")
    if output != "-" and Path(output).suffix.lower() not in SUFFIXES:
        raise DarkroomError(
            f"--output {output}: legal are names that end in {' or '.join(SUFFIXES)}, and - for "
            "the terminal"
        )
    if output != "-":
        check_file(Path(output))


@contextmanager
def open_output(output: str, extra: Sequence[str]) -> Iterator[Write]:
    """Yield a function that writes rows; a file appears when all are written.

    Args:
        output: name of a file, or `-`.
        extra: columns behind COLUMNS: UNKNOWN, SETS, and columns of probabilities.
    """
    if output == "-":
        yield _write_csv(sys.stdout, extra)
        return
    with writing(Path(output)) as temporary:
        if temporary.suffix.lower() == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                yield _write_csv(stream, extra)
        else:
            yield from _write_parquet(temporary, extra)


def _write_csv(stream: IO[str], extra: Sequence[str]) -> Write:
    columns = [*COLUMNS, *extra]
    # What ends a line of csv's own is quoted in a name: so it must think that both signs do.
    writer = csv.DictWriter(_Lines(stream), columns, lineterminator="\r\n")
    writer.writeheader()

    def write(rows: list[Row]) -> None:
        for row in rows:
            shielded = {name: _show(value) for name, value in row.items()}
            writer.writerow(shielded | {"path": shield_path(row["path"])})
        stream.flush()

    return write


class _Lines:
    """A stream whose lines end as everywhere in this project."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        """Write one row, which ends with both signs."""
        self._stream.write(row.removesuffix("\r\n") + "\n")


def _show(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return shield_text(value)
    return f"{value:.6f}" if isinstance(value, float) else value


def _write_parquet(file: Path, extra: Sequence[str]) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(("path", "label", "reason"), pa.string()) | {"unsure": pa.bool_()}
    kinds |= {UNKNOWN: pa.bool_(), SETS: pa.list_(pa.string())}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in (*COLUMNS, *extra)])
    with pq.ParquetWriter(file, schema) as writer:
        yield lambda rows: writer.write_table(pa.Table.from_pylist(rows, schema))

"""Tables on disk hold what was written, whatever parts it came in, and leave no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.common.errors import DarkroomError
from components.common.files import laid, tables
from components.common.files.laid import (
    LaidTable,
    check_memory,
    lay_down,
    lay_texts,
    laying_in,
    reorder,
)
from components.common.files.schema import Schema

KINDS = {
    "text": pa.string(),
    "bytes": pa.binary(),
    "number": pa.int64(),
    "share": pa.float64(),
    "list": pa.list_(pa.string()),
}
ROWS = [
    {"text": "ä" * n, "bytes": bytes(n), "number": -n, "share": n / 7, "list": ["x"] * (n % 3)}
    for n in range(23)
] + [{"text": None, "bytes": None, "number": 1, "share": float("nan"), "list": []}]


@pytest.mark.parametrize("size", [1, 5, 24])
def test_a_table_is_what_was_written_in_one_piece(size: int, tmp_path: Path) -> None:
    schema = pa.schema(KINDS)
    whole = pa.Table.from_pylist(ROWS, schema)
    with laying_in(tmp_path / "new"):
        table = LaidTable(schema)
        for start in range(0, len(whole), size):
            table.write(whole.slice(start, size))
        found = table.read()
        assert found.cast(schema).slice(0, 23).equals(whole.slice(0, 23))
        assert found["text"].to_pylist()[-1] is None
        assert all(column.num_chunks <= 1 for column in found.columns)
        order = np.random.default_rng(0).permutation(len(ROWS))
        turned = reorder(found, order)
        assert turned["text"].to_pylist() == [ROWS[row]["text"] for row in order]
        assert turned["list"].to_pylist() == [ROWS[row]["list"] for row in order]
    assert not list((tmp_path / "new").iterdir())


def test_an_empty_table_is_empty() -> None:
    assert len(LaidTable(pa.schema(KINDS)).read()) == 0


def test_a_number_that_is_missing_is_refused() -> None:
    table = LaidTable(pa.schema({"number": pa.int64()}))
    with pytest.raises(ValueError, match="zero_copy"):
        table.write(pa.table({"number": pa.array([1, None], pa.int64())}))


def test_pandas_sees_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laid, "ROWS", 4)
    table = pd.DataFrame(
        {"path": [f"{n}.jpg" for n in range(11)], "n": range(11), "split": ["a", None] * 5 + ["b"]},
        index=range(100, 111),
    )
    table.attrs["told"] = 1
    table["split"] = table["split"].astype("str")
    pd.testing.assert_frame_equal(lay_down(table), table)
    assert lay_down(table).attrs == {"told": 1}
    rows = np.array([7, 2, 2, 9])
    wanted = table.iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(lay_down(table, rows), wanted)
    assert lay_texts(iter([["a"], [], ["b", "c"]])).tolist() == ["a", "b", "c"]


def test_a_file_does_not_depend_on_the_pieces_in_memory(tmp_path: Path) -> None:
    """A manifest of 20,000 images was other bytes when another number of machines had looked."""
    texts = pa.array([f"{n:064x}" for n in range(40_000)], pa.large_string())
    kind = pd.StringDtype(na_value=np.nan)
    for size in (64, 1000, 40_000):
        pieces = [texts.slice(start, size) for start in range(0, len(texts), size)]
        table = pd.DataFrame({"sha256": kind.__from_arrow__(pa.chunked_array(pieces))})
        tables.write_parquet(tmp_path / f"{size}", table, Schema("test", stage="validate"))
    assert len({(tmp_path / f"{size}").read_bytes() for size in (64, 1000, 40_000)}) == 1


def test_what_can_be_laid_down_is_read_as_without(tmp_path: Path) -> None:
    shares = [float("nan"), 0.5, None]
    table = pd.DataFrame({"a": ["x", None, "z"], "n": [1, 2, 3], "share": shares, "other": 0})
    table["some"] = pd.array([1, None, 3], "Int64")
    table.attrs["fractions"] = [0.1, 0.2]
    file, schema = tmp_path / "file", Schema("test", stage="validate")
    tables.write_parquet(file, table, schema)
    whole = tables.read_table(file, "table", ["a"], "validate", schema=schema)
    for names in (["a", "n", "share"], ["a", "some"]):
        laid = [*names, "missing"]
        some = tables.read_table(file, "table", ["a"], "validate", schema=schema, laid=laid)
        pd.testing.assert_frame_equal(some, whole[names])
        assert some.attrs == whole.attrs
    with pytest.raises(DarkroomError, match="lacks b; run validate again"):
        tables.read_table(file, "table", ["b"], "validate", laid=["b"])
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DarkroomError, match="not a readable table"):
        tables.read_table(file, "table", ["a"], "validate", laid=["a"])


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    table = LaidTable(pa.schema({"number": pa.int64()}))
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - in place of its own file
        table._columns["number"]._file = full
        with pytest.raises(DarkroomError, match=r"No space left on device\); make room"):
            table.write(pa.table({"number": [1, 2]}))
    (tmp_path / "file").touch()
    inside = tmp_path / "file" / "folder"
    with pytest.raises(DarkroomError, match="cannot be written"), laying_in(inside):
        pass


def test_what_does_not_fit_is_refused_with_the_figures() -> None:
    check_memory(1000, 1000, "")
    with pytest.raises(DarkroomError, match=r"1,000,000,000,000 images take about 1,500,000\.0 GB"):
        check_memory(10**12, 1500, "buy more")

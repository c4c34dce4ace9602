"""What was found in files before is recalled, and is the same; what is damaged is looked at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.common.images.listing import read_entries, write_listing
from components.common.images.stores.listing import Entry, name_content
from components.validate.partitions import KNOWN, check_partition, list_recipes, plan
from components.validate.scan.memory import put_together, recall, write_lasting
from components.validate.spec import Params

MD5 = 32 * "a"


@pytest.fixture
def digits(make_digits: Callable[..., Path]) -> Path:
    folder = make_digits(per_class=4, classes=2)
    shutil.copy(folder / "digit-0" / "000.png", folder / "digit-1" / "copy.png")
    (folder / "digit-1" / "broken.png").write_bytes(b"no image")
    return folder


def list_folder(folder: Path, file: Path) -> Path:
    entries = []
    for one in sorted(folder.rglob("*.png")):
        data = one.read_bytes()
        path = one.relative_to(folder).as_posix()
        entries.append(Entry(path, path, len(data), f"md5:{hash(data)}"))
    write_listing(file, "s3://photos/mine", entries)
    return file


def test_the_second_time_nothing_is_looked_at(digits: Path, tmp_path: Path) -> None:
    listing, table = list_folder(digits, tmp_path / "listing"), tmp_path / "rows.parquet"
    own = {"params": Params(), "listing": listing}
    assert plan(digits, tmp_path / "first", most=1, **own) == 1
    found = tmp_path / "found"
    look = {"images": digits, "found": found, "part": 0, "parts": 1, "lasting": table}
    assert check_partition(files=tmp_path / "first", **own, **look) == 9  # a copy is no other
    for name in ("damaged", "of another time"):
        (tmp_path / name).write_bytes(table.read_bytes()[:-7])
    pd.DataFrame({"content": ["x"]}).to_parquet(tmp_path / "of another time")
    tables = [tmp_path / name for name in ("damaged", "of another time", "gone")]
    both = tmp_path / "both.parquet"
    assert put_together([*tables, table, table], both) == 18
    shutil.rmtree(digits / "digit-0")  # whoever would look would see that
    (digits / "digit-0").mkdir()
    for path in (entry.path for entry in read_entries(listing)):
        (digits / path).touch()
    assert plan(digits, tmp_path / "second", most=1, tables=[*tables, both], **own) == 1
    rows = pd.read_parquet(tmp_path / "second" / KNOWN).sort_values("path", ignore_index=True)
    wanted = pd.read_parquet(found).sort_values("path", ignore_index=True)
    pd.testing.assert_frame_equal(rows[list(wanted)], wanted)
    assert not len(pd.read_parquet(tmp_path / "second" / "paths.parquet"))


def test_what_the_machine_decided_is_not_kept(digits: Path, tmp_path: Path) -> None:
    listing = list_folder(digits, tmp_path / "listing")
    plan(digits, tmp_path / "files", Params(), 1)
    check_partition(
        images=digits,
        files=tmp_path / "files",
        found=tmp_path / "found",
        params=Params(),
        part=0,
        parts=1,
    )
    rows = pd.read_parquet(tmp_path / "found")
    said = ["", "too slow: more than 60 s", "missing: no file"]
    rows["reason"] = [*said, *[""] * (len(rows) - len(said))]
    kept = tmp_path / "kept"
    assert write_lasting(rows, listing, kept) == len(rows) - 3
    known = recall([kept], listing, list(rows["path"]), tmp_path / "known")
    assert known == {rows["path"][0], *rows["path"][3:]}
    assert not recall([kept], tmp_path / "no listing", list(rows["path"]), tmp_path / "none")


def test_other_settings_have_another_recipe() -> None:
    params = Params()
    same, other = replace(params, max_imbalance=3.0), replace(params, min_side_px=9)
    assert list_recipes(same) == list_recipes(params)
    assert list_recipes(other)[0] != list_recipes(params)[0]
    assert list_recipes(replace(params, max_decode_seconds=9))[0] != list_recipes(params)[0]


@pytest.mark.parametrize(
    ("digest", "of_bytes"),
    [
        (f"md5:{MD5}", True),
        ("sha256:ca97", True),
        ("git:8ab686ea", True),
        (f'etag:"{MD5}"', True),
        (f'etag:"{MD5}-3"', False),
        (f'etag:W/"{MD5}"', False),
        ("generation:1700000000000001", False),
        ("", None),
    ],
)
def test_a_content_has_the_name_of_its_bytes_or_of_the_object(
    digest: str, of_bytes: bool | None
) -> None:
    one, moved = (Entry(path, path, 7, digest) for path in ("a.png", "b.png"))
    names = [name_content("s3://photos", entry) for entry in (one, moved, replace(one, bytes=8))]
    assert (names[0] == names[1]) == (of_bytes is not False)
    assert (names[0] == "") == (of_bytes is None)
    assert (names[0] != names[2]) == (of_bytes is not None)

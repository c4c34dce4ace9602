"""What was found in files before, so that each is looked at once: a help, never needed.

What is found in a file depends on its bytes, on the code that looks, and on a few settings: their
digest is the recipe. Tables hold a row a content, called what the listing of a store calls it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError
from components.common.files.writing import writing
from components.common.images.listing import open_images
from components.common.images.recipe import compute_digest_of_all, list_decoders
from components.common.images.stores.listing import name_content
from components.common.terminal import say
from components.validate.scan.scan import create_schema

if TYPE_CHECKING:
    import pandas as pd

CONTENT = "content"  # column: what the listing says of the bytes
ROWS = 5_000  # of a row group
# What is said of a file because of the machine: how busy it was, or a disk that failed.
PASSING = ("missing", "unreadable", "too slow", "too large", "damaged: it makes the decoder crash")


def compute_recipe(settings: Mapping[str, Any]) -> str:
    """Return the digest of all but the bytes that decides what is found in a file.

    Args:
        settings: by which a file is judged.
    """
    code = compute_digest_of_all("components.validate.scan.scan")
    libraries = [*list_decoders(), version("numpy"), version("scipy")]
    said = json.dumps([code, libraries, settings], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def recall(tables: Sequence[Path], listing: Path, paths: Collection[str], target: Path) -> set[str]:
    """Write a row for each file whose content is known; return their paths.

    Args:
        tables: of :func:`write_lasting`, of one recipe.
        listing: tells the content of files.
        paths: of the files.
        target: Parquet file to write, with the columns of `scan_files` and `path`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted: dict[str, list[str]] = {}
    for path, name in _name_files(listing, paths).items():
        wanted.setdefault(name, []).append(path)
    known: set[str] = set()
    schema = create_schema().insert(0, pa.field("path", pa.string()))
    with writing(target) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for rows in _read_all(tables):
            if not wanted:
                break
            # Two runs that looked at once have left a content in two tables: the first counts.
            pairs = [
                (row, path)
                for row, name in enumerate(rows[CONTENT].to_pylist())
                for path in wanted.pop(name, ())
            ]
            if pairs:
                places, own = (list(one) for one in zip(*pairs, strict=True))
                chosen = rows.take(places).set_column(0, "path", pa.array(own))
                writer.write_table(chosen)
                known.update(own)
    return known


def write_lasting(rows: pd.DataFrame, listing: Path, target: Path) -> int:
    """Write what is worth to be kept of what was found; return the number of rows.

    Args:
        rows: of `scan_files`, with `path`.
        listing: tells the content of files.
        target: Parquet file to write.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = _name_files(listing, list(rows["path"]))
    kept = rows[~rows["reason"].str.startswith(PASSING) & rows["path"].isin(list(names))]
    kept = kept.assign(**{CONTENT: kept["path"].map(names)}).drop_duplicates(CONTENT)
    table = pa.Table.from_pandas(kept, _create_schema(), preserve_index=False)
    with writing(target) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary, row_group_size=ROWS)
    return len(kept)


def put_together(tables: Sequence[Path], target: Path) -> int:
    """Write one table of many; return the number of its rows."""
    import pyarrow.parquet as pq

    count = 0
    with writing(target) as temporary, pq.ParquetWriter(temporary, _create_schema()) as writer:
        for rows in _read_all(tables):
            writer.write_table(rows)
            count += len(rows)
    return count


def _name_files(listing: Path, paths: Collection[str]) -> dict[str, str]:
    """Return what the listing calls the content of files, those that it tells: path → name."""
    try:
        images = open_images(listing, list(paths))
    except (DarkroomError, OSError, ValueError):
        return {}
    names = {path: name_content(images.source, one) for path, one in images.entries.items()}
    return {path: name for path, name in names.items() if name}


def _create_schema() -> Any:
    import pyarrow as pa

    return create_schema().insert(0, pa.field(CONTENT, pa.string()))


def _read_all(tables: Sequence[Path]) -> Iterator[Any]:
    """Yield the rows of tables in parts; none of one that is damaged, or gone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _create_schema()
    for file in tables:
        try:
            with pq.ParquetFile(file) as table:
                for number in range(table.num_row_groups):
                    rows = table.read_row_group(number, columns=schema.names)
                    yield rows.select(schema.names).cast(schema)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            say(f"{file}: cannot be read ({error}); what it knew is looked at again")

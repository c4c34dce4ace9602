"""dataset.json: what preprocess says of its shards; written last, so it marks them ready."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.writing import read_json, write_json
from components.common.images.pixels import ImageForm

SCHEMA = Schema("dataset", stage="preprocess")
# Features of the tf.train.Example that is one record of a shard.
PIXELS, LABEL, PATH, SHA256 = "pixels", "label", "path", "sha256"
LINES = 20_000  # of images, that are objects at once while a digest is computed


@dataclass(frozen=True)
class Shard:
    """One TFRecord file."""

    file: str  # name in the folder of dataset.json
    examples: int
    sha256: str  # of the file's bytes, hex
    recipe: str = ""  # digest of all that decides those bytes; an equal one need not be rewritten


@dataclass(frozen=True)
class Split:
    """One split: its shards in order, and what is in them."""

    examples: int
    examples_per_class: dict[str, int]  # a count for every class name, zeros included
    digest: str  # compute_split_digest of its images
    shards: list[Shard]


@dataclass(frozen=True)
class Dataset:
    """What dataset.json holds."""

    class_names: list[str]  # position = label
    form: ImageForm  # form of the pixels in the shards
    splits: dict[str, Split]  # train, val, test
    manifest_sha256: str
    splits_sha256: str
    params: dict[str, Any] = field(default_factory=dict)  # settings that shaped it, dotted keys


def compute_split_digest(images: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a split: of which images it holds under which labels.

    Two test splits of one digest hold the same pictures under the same labels, whatever the files
    are called, so results on them can be compared.

    Args:
        images: (sha256 of the file, class name) of each image, in any order.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # In Arrow's memory: as objects they would take twice as much.
    parts, rest = [pa.array([], pa.large_string())], iter(images)
    while some := [f"{sha256} {label}\n" for sha256, label in islice(rest, LINES)]:
        parts.append(pa.array(some, pa.large_string()))
    lines = pa.concat_arrays(parts)
    order, total = pc.sort_indices(lines), hashlib.sha256()
    for start in range(0, len(order), LINES):
        total.update("".join(lines.take(order[start : start + LINES]).to_pylist()).encode())
    return total.hexdigest()


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write dataset.json into the folder of shards."""
    said = asdict(dataset) | {"form": dataset.form.describe()}
    write_json(folder / "dataset.json", SCHEMA.put_on(said))


def read_dataset(folder: Path) -> Dataset:
    """Read dataset.json from a folder of shards; DarkroomError if it is missing or damaged."""
    file = folder / "dataset.json"
    found = SCHEMA.take_off(file, read_json(file))
    try:
        splits = {
            name: Split(**(split | {"shards": [Shard(**shard) for shard in split["shards"]]}))
            for name, split in found["splits"].items()
        }
        return Dataset(**(found | {"form": ImageForm(**found["form"]), "splits": splits}))
    except (KeyError, TypeError, AttributeError) as error:
        raise DarkroomError(
            f"{file}: not a dataset.json of this version ({error}); run preprocess again"
        ) from None

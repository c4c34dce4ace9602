"""Preprocess over several pods: plan, write a partition, collect."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.files.writing import compute_sha256
from pipelines.steps.bundles import BUNDLES, FILES, resolve_folder
from pipelines.steps.rooms import (
    one_line,
    place_inputs,
    point_at,
    read_params_of,
    writing_outputs,
)
from pipelines.steps.shared.memory import find_memory
from pipelines.steps.shared.volume import Volume, read_place

SHARDS = FILES.get("shards", "shards")  # in the folder that is handed on


@one_line
def plan(given: Mapping[str, Any], partitions: int) -> list[str]:
    """Write the splits; return the partitions, number/count: as text, which KFP leaves as it is."""
    known, earlier = find_memory(given["place"]), {}
    if known:
        memory, _, line = known
        folder = memory.find_shards(line)
        earlier = {
            "earlier_splits": folder / FILES["splits"] if folder else memory.find_splits(line),
            "earlier_shards": folder / SHARDS if folder else None,
        }
    with (
        _inputs(given, "manifest") as (manifest,),
        writing_outputs(given, ["splits", "planned"]) as out,
    ):
        paths = manifest, out["splits"], out["planned"]
        parts = _room().plan(*paths, _params(given), partitions, **earlier)
    return [f"{part}/{parts}" for part in range(parts)]


@one_line
def write(given: Mapping[str, Any], name: str, volume: str) -> None:
    """Write the shards of a partition."""
    part, parts = map(int, name.split("/"))
    planned = Path(given["planned"].path)
    with _inputs(given, "images") as (images,), _writing(given, "written", volume) as out:
        _room().write_partition(images=images, planned=planned, folder=out, part=part, parts=parts)


@one_line
def collect(given: Mapping[str, Any], partitions: Sequence[Any], volume: str) -> None:
    """Bring the shards of all partitions together, and the splits that say whose they are."""
    folders = [resolve_folder(Path(partition.path)) for partition in partitions]
    inputs = {**given, "shards": None}  # splits are read from the plan, and then go along
    with (
        _inputs(inputs, "manifest", "splits") as (manifest, splits),
        _writing(given, "shards", volume) as out,
    ):
        _room().collect(folders, manifest, splits, out / SHARDS, _params(given))
        shutil.copyfile(splits, out / FILES["splits"])
    if volume and (known := find_memory(given["place"])):
        memory, _, line = known
        memory.keep_shards(line, resolve_folder(Path(given["shards"].path)))


@contextmanager
def _writing(given: Mapping[str, Any], name: str, volume: str) -> Iterator[Path]:
    """Yield the path for a folder artifact; with a volume it goes there, and is pointed at."""
    if not volume:
        with writing_outputs(given, [name]) as paths:
            # Of a bundle the folder itself, of which the room's output is a part.
            yield paths[name].parent if name in BUNDLES else paths[name]
        return
    images = read_place(given["place"]).name
    placed: list[Path] = []
    with Volume(Path(volume)).writing_once(name, images, _compute_digest, placed) as folder:
        if name in BUNDLES:
            folder.mkdir()
        yield folder
    point_at(given[name], placed[0])


def _compute_digest(folder: Path) -> str:
    """Name a folder of shards: by the files that hold the digest of every shard, and the splits."""
    total = hashlib.sha256()
    for name in ("written.json", "shards/dataset.json", "splits.parquet"):
        if (folder / name).is_file():
            total.update(f"{name} {compute_sha256(folder / name)}\n".encode())
    return total.hexdigest()


def _room() -> Any:
    return importlib.import_module("components.preprocess.partitions")


def _params(given: Mapping[str, Any]) -> Any:
    return read_params_of("preprocess", given)


class _inputs:  # noqa: N801 - used as a statement
    """The paths of inputs of a room, for as long as the body runs."""

    def __init__(self, given: Mapping[str, Any], *names: str) -> None:
        self._given, self._names = given, names

    def __enter__(self) -> list[Path]:
        self._folder = tempfile.TemporaryDirectory(prefix="darkroom-")
        found = place_inputs(Path(self._folder.name), self._given, self._names)
        return [found[name] for name in self._names]

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

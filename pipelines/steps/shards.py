"""Preprocess over several pods: plan, write a partition, collect."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.steps.rooms import (
    one_line,
    place_input,
    read_params_of,
    resolve_folder,
    writing_on_volume,
    writing_outputs,
)


@one_line
def plan(given: Mapping[str, Any], partitions: int) -> list[str]:
    """Write the splits; return the partitions, number/count: as text, which KFP leaves as it is."""
    with _inputs(given["manifest"]) as (manifest,), writing_outputs(_take(given, "splits")) as out:
        parts = _room().plan(manifest, out["splits"], _params(given), partitions)
    return [f"{part}/{parts}" for part in range(parts)]


@one_line
def write(given: Mapping[str, Any], name: str, volume: str) -> None:
    """Write the shards of a partition."""
    part, parts = map(int, name.split("/"))
    inputs = (given["images"], given["manifest"], given["splits"])
    with _inputs(*inputs) as paths, writing_on_volume(given["part_shards"], volume) as out:
        images, manifest, splits = paths
        _room().write_partition(
            images=images,
            manifest=manifest,
            splits=splits,
            folder=out,
            params=_params(given),
            part=part,
            parts=parts,
        )


@one_line
def collect(given: Mapping[str, Any], partitions: Sequence[Any], volume: str) -> None:
    """Bring the shards of all partitions together."""
    folders = [resolve_folder(Path(partition.path)) for partition in partitions]
    inputs = (given["manifest"], given["splits"])
    with _inputs(*inputs) as paths, writing_on_volume(given["shards"], volume) as out:
        _room().collect(folders, *paths, out, _params(given))


def _room() -> Any:
    return importlib.import_module("components.preprocess.partitions")


def _params(given: Mapping[str, Any]) -> Any:
    return read_params_of("preprocess", given)


def _take(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names}


class _inputs:  # noqa: N801 - used as a statement
    """The paths of input artifacts, for as long as the body runs."""

    def __init__(self, *artifacts: Any) -> None:
        self._artifacts = artifacts

    def __enter__(self) -> list[Path]:
        self._folder = tempfile.TemporaryDirectory(prefix="darkroom-")
        return [place_input(Path(self._folder.name), one) for one in self._artifacts]

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

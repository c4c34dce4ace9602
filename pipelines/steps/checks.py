"""Validate over several pods: list the files, look at those of a partition, judge all."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from components.common.terminal import heading
from pipelines.steps.rooms import one_line, place_inputs, read_params_of, writing_outputs
from pipelines.steps.shared.memory import find_memory

ROOM = "validate"


@one_line
def plan(given: Mapping[str, Any], partitions: int) -> list[str]:
    """Write the files' paths; return the partitions, number/count: as text, which KFP leaves."""
    params, room = _params(given), _room()
    with _images(given) as images, writing_outputs(given, ["files"]) as out:
        if (known := find_memory(given["place"])) is None:
            parts = room.plan(images, out["files"], params, partitions)
        else:
            memory, folder, _ = known
            recipe, listing = room.list_recipes(params)[0], memory.find_listing(folder)
            memory.put_together(recipe, _import("scan.memory").put_together)
            seen = {"listing": listing, "tables": memory.list_seen(recipe)}
            parts = room.plan(images, out["files"], params, partitions, **seen)
    return [f"{part}/{parts}" for part in range(parts)]


@one_line
def check(given: Mapping[str, Any], name: str) -> None:
    """Look at the images of a partition; on a volume later runs know them."""
    params, room = _params(given), _room()
    part, parts = map(int, name.split("/"))
    files = Path(given["files"].path)
    with _images(given) as images, writing_outputs(given, ["checked"]) as out:
        own = {"images": images, "files": files, "found": out["checked"], "params": params}
        look = partial(room.check_partition, **own, part=part, parts=parts)
        if (known := find_memory(given["place"])) is None:
            look()
        else:
            memory, folder, _ = known
            with _table() as table:
                if look(listing=memory.find_listing(folder), lasting=table):
                    memory.add_seen(room.list_recipes(params)[0], table)


@one_line
def judge(given: Mapping[str, Any], partitions: Sequence[Any]) -> None:
    """Write what validate hands on, from what was found in all partitions, and before."""
    spec = _import("spec")
    heading(ROOM, (spec.__doc__ or "").strip().splitlines()[0])
    found = [Path(partition.path) for partition in partitions]
    files = Path(given["files"].path)
    names = [field.name for field in fields(spec.Outputs)]
    with _images(given) as images, writing_outputs(given, names) as paths:
        own = found, files, spec.Inputs(images=images), spec.Outputs(**paths), _params(given)
        if (known := find_memory(given["place"])) is None:
            _room().judge(*own)
        else:
            memory, recipe = known[0], _room().list_recipes(own[-1])[1]
            memory.put_together(recipe, _import("copies.compared").join_compared)
            with _table() as table:
                if _room().judge(*own, tables=memory.list_seen(recipe), lasting=table):
                    memory.add_seen(recipe, table)


@contextmanager
def _images(given: Mapping[str, Any]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        yield place_inputs(Path(folder), given, ["images"])["images"]


@contextmanager
def _table() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        yield Path(folder) / "seen.parquet"


def _room() -> Any:
    return _import("partitions")


def _import(name: str) -> Any:
    return importlib.import_module(f"components.{ROOM}.{name}")


def _params(given: Mapping[str, Any]) -> Any:
    return read_params_of(ROOM, given)

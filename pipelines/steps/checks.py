"""Validate over several pods: list the files, look at those of a partition, judge all."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from components.common.terminal import heading
from pipelines.steps.rooms import one_line, place_inputs, read_params_of, writing_outputs

ROOM = "validate"


@one_line
def plan(given: Mapping[str, Any], partitions: int) -> list[str]:
    """Write the files' paths; return the partitions, number/count: as text, which KFP leaves."""
    with _images(given) as images, writing_outputs(given, ["files"]) as out:
        parts = _room().plan(images, out["files"], _params(given), partitions)
    return [f"{part}/{parts}" for part in range(parts)]


@one_line
def check(given: Mapping[str, Any], name: str) -> None:
    """Look at the images of a partition."""
    part, parts = map(int, name.split("/"))
    files = Path(given["files"].path)
    with _images(given) as images, writing_outputs(given, ["checked"]) as out:
        _room().check_partition(
            images=images,
            files=files,
            found=out["checked"],
            params=_params(given),
            part=part,
            parts=parts,
        )


@one_line
def judge(given: Mapping[str, Any], partitions: Sequence[Any]) -> None:
    """Write what validate hands on, from what was found in all partitions."""
    spec = importlib.import_module(f"components.{ROOM}.spec")
    heading(ROOM, (spec.__doc__ or "").strip().splitlines()[0])
    found = [Path(partition.path) for partition in partitions]
    names = [field.name for field in fields(spec.Outputs)]
    with _images(given) as images, writing_outputs(given, names) as paths:
        _room().judge(found, spec.Inputs(images=images), spec.Outputs(**paths), _params(given))


@contextmanager
def _images(given: Mapping[str, Any]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        yield place_inputs(Path(folder), given, ["images"])["images"]


def _room() -> Any:
    return importlib.import_module(f"components.{ROOM}.partitions")


def _params(given: Mapping[str, Any]) -> Any:
    return read_params_of(ROOM, given)

"""What the folders that tasks hand each other hold: rooms see the paths of dvc.yaml in them.

KFP's page draws a node for each artifact. One folder for all that a room hands on keeps the page
readable, and a task's signature as it is when a room begins to write one file more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.images.listing import LISTING
from pipelines.steps.shared.volume import BOOKS, Volume, read_place

# A folder artifact → the inputs and outputs of rooms that are in it, by the names of their specs.
BUNDLES = {
    "manifest": ("manifest", "validation", "quarantine", "data_docs"),
    "shards": ("splits", "shards"),
    "model": ("model", "history", "findings", "run"),
    # The verdict on the data goes along, and the test images that promote looks at, so that it
    # needs neither validate's folder beside it nor all images.
    "evaluation": (
        *("predictions", "metrics", "latency", "plots", "labels", "model_card", "validation"),
        "images",
    ),
}
# A path of a room's spec has no suffix in its name; rooms see the names of dvc.yaml.
FILES = {
    "manifest": "manifest.parquet",
    "validation": "validation.json",
    "quarantine": "quarantine.csv",
    "splits": "splits.parquet",
    "model": "model.keras",
    "history": "history.csv",
    "findings": "training",
    "run": "run.json",
    "predictions": "predictions.parquet",
    "metrics": "metrics.json",
    "latency": "latency.json",
    "report": "report.html",
    "labels": "labels.html",
    "model_card": "model_card.md",
    "verdict": "verdict.json",
}
# A folder artifact that holds this file stands for a folder on the shared volume.
ELSEWHERE = "folder-on-the-volume.txt"


def find_artifact(given: Mapping[str, Any], name: str) -> str:
    """Return which argument of a task has a path of a room's spec: its bundle, or its own."""
    if name == "images" and given.get(name) is not None:
        return name  # all of them, and not the few that are in a bundle
    found = (one for one, names in BUNDLES.items() if name in names and given.get(one) is not None)
    return next(found, name)


def find_input(given: Mapping[str, Any], name: str) -> Path:
    """Return where an input of a room is.

    Args:
        given: the arguments of the task.
        name: of the input, as in the room's spec.

    Raises:
        DarkroomError: if it is not there.
    """
    if name == "images" and given.get("place"):
        return _find_listing(check_place(read_place(given["place"])))
    artifact = given[find_artifact(given, name)]
    folder = resolve_folder(Path(artifact.path))
    if name == "images" and _find_listing(folder) != folder:
        return _find_listing(folder)
    path = folder / FILES.get(name, name) if find_artifact(given, name) in BUNDLES else folder
    if not path.exists():
        raise DarkroomError(
            f"{path}: the artifact {artifact.name} was not brought to this task; look at the "
            "task that writes it"
        )
    return path


def _find_listing(folder: Path) -> Path:
    """Return the listing in a folder that holds nothing else, or else the folder."""
    return folder / LISTING if list_names(folder) == {LISTING} else folder


def list_names(folder: Path) -> set[str]:
    """Return some names in a folder, all if they are few, without hidden ones."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in islice(entries, 10) if not entry.name.startswith(".")}


def carry_along(given: Mapping[str, Any], name: str, bundle: str) -> None:
    """Copy an input file of a task into a folder that it hands on."""
    source = find_input(given, name)
    shutil.copyfile(source, Path(given[bundle].path) / source.name)


def copy_files(folder: Path, paths: Iterable[str], target: Path) -> None:
    """Copy some files of a folder into one that a task hands on."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target / path)


def resolve_folder(path: Path) -> Path:
    """Return where the content of a folder artifact is: in it, or on the shared volume."""
    pointer = path / ELSEWHERE
    if not pointer.is_file():
        return path
    return check_place(Path(pointer.read_text(encoding="utf-8")))


def check_place(place: Path) -> Path:
    """Return a folder on the shared volume, or say that it is gone and what to do."""
    if not place.is_dir():
        raise DarkroomError(
            f"{place} is gone from the shared volume, where an earlier task had put it; run the "
            "pipeline again: it sees that and makes it anew"
        )
    if (place.parents[1] / BOOKS).is_dir():
        Volume(place.parents[1]).note_use(place)
    return place

"""Run a room inside a task: artifacts become its paths, parameters its checked settings."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.params import check_params
from components.common.settings.spec import SHARED_SECTIONS, is_shared
from components.common.terminal import heading
from components.common.tracking.runs import KFP_RUN_ID

# An artifact is named for its parameter, with no suffix; rooms see the names of dvc.yaml.
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
    "model_card": "model_card.md",
    "verdict": "verdict.json",
}
# A folder artifact that holds this file stands for a folder on the shared volume.
ELSEWHERE = "folder-on-the-volume.txt"


def run_room(room: str, given: Mapping[str, Any], volume: str = "") -> None:
    """Run a room on a task's arguments.

    Args:
        room: its name.
        given: the arguments of the task: an artifact for each path of the room's spec, a mapping
            for each section of params.yaml that it reads.
        volume: where a shared volume is mounted: what the room has begun stays there for the next
            attempt of the same run. Empty: a next attempt begins anew.
    """
    kept = Path(volume) / "runs" / os.environ.get(KFP_RUN_ID, "run") / room if volume else None
    with failing_in_one_line():
        spec = importlib.import_module(f"components.{room}.spec")
        params = read_params_of(room, given)
        heading(room, (spec.__doc__ or "").strip().splitlines()[0])
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            inputs = spec.Inputs(
                **{f.name: place_input(Path(folder), given[f.name]) for f in fields(spec.Inputs)}
            )
            outputs = {f.name: given[f.name] for f in fields(spec.Outputs)}
            with writing_outputs(outputs, kept) as paths:
                run = importlib.import_module(f"components.{room}.run").run
                run(inputs, spec.Outputs(**paths), params)


def read_params_of(room: str, given: Mapping[str, Any]) -> Any:
    """Return the checked settings of a room from a task's arguments."""
    kind = importlib.import_module(f"components.{room}.spec").Params
    shared = [f.name for f in fields(kind) if is_shared(f)]
    schema = {name: SHARED_SECTIONS[name] for name in shared}
    if len(fields(kind)) > len(shared):
        schema[room] = kind
    sections = {name: restore_integers(given[name]) for name in schema}
    values = check_params(Path("parameters of the run"), sections, schema)
    return replace(values.get(room) or kind(), **{name: values[name] for name in shared})


def restore_integers(value: Any) -> Any:
    """Return a parameter with whole numbers as int: inside a mapping KFP sends all as float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: restore_integers(item) for key, item in value.items()}
    return [restore_integers(item) for item in value] if isinstance(value, list) else value


def place_input(folder: Path, artifact: Any) -> Path:
    """Return an input artifact under the name that rooms know it by; nothing is copied."""
    source = resolve_folder(Path(artifact.path))
    if not source.exists():
        raise DarkroomError(
            f"{source}: the artifact {artifact.name} was not brought to this task; look at the "
            "task that writes it"
        )
    link = folder / name_of(artifact)
    link.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    return link


def resolve_folder(path: Path) -> Path:
    """Return where the content of a folder artifact is: in it, or on the shared volume."""
    pointer = path / ELSEWHERE
    return Path(pointer.read_text(encoding="utf-8")) if pointer.is_file() else path


def name_of(artifact: Any) -> str:
    """Return the name that rooms know an artifact by."""
    own = Path(artifact.path).name
    return FILES.get(own, own)


@contextmanager
def writing_outputs(
    artifacts: Mapping[str, Any], kept: Path | None = None
) -> Iterator[dict[str, Path]]:
    """Yield a path for each output artifact; afterwards what was written there is the artifact's.

    Args:
        artifacts: name → output artifact.
        kept: folder to write in, which stays if the body raises; by default beside each artifact,
            on its disk, so that nothing is copied.
    """
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        places = {name: kept / FILES.get(name, name) for name in artifacts}
        yield places
        for name, artifact in artifacts.items():
            remove(Path(artifact.path))
            Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(places[name], artifact.path)
        shutil.rmtree(kept)
        return
    places = {}
    for name, artifact in artifacts.items():
        own = Path(artifact.path)
        own.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(".work", ".darkroom-", own.parent))
        places[name] = place / FILES.get(name, name)
    try:
        yield places
        for name, artifact in artifacts.items():
            target = Path(artifact.path)
            remove(target)
            places[name].replace(target)
    finally:
        for place in places.values():
            shutil.rmtree(place.parent, ignore_errors=True)


@contextmanager
def writing_on_volume(artifact: Any, volume: str) -> Iterator[Path]:
    """Yield the path for a folder artifact; with a volume it goes there, and is pointed at.

    Args:
        artifact: an output of the task.
        volume: where the shared volume is mounted; empty: there is none.
    """
    name = Path(artifact.path).name
    if not volume:
        with writing_outputs({name: artifact}) as paths:
            yield paths[name]
        return
    # The artifact's path names run and task, and is another one for each.
    place = hashlib.sha256(str(artifact.path).encode()).hexdigest()[:16]
    folder = Path(volume) / name / place
    yield folder
    point_at(artifact, folder)


def point_at(artifact: Any, folder: Path) -> None:
    """Let a folder artifact stand for a folder on the shared volume."""
    remove(Path(artifact.path))
    Path(artifact.path).mkdir(parents=True)
    (Path(artifact.path) / ELSEWHERE).write_text(str(folder), encoding="utf-8")
    artifact.metadata["folder"] = str(folder)


def remove(path: Path) -> None:
    """Remove a file or folder that KFP named for this task: an attempt before may have left it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """End the task with the user's error as the last line of its log, and no traceback."""
    try:
        yield
    except DarkroomError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(1)


def one_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what a task's body calls: see :func:`failing_in_one_line`."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with failing_in_one_line():
            return function(*args, **kwargs)

    return wrapped

"""Run a room inside a task: artifacts become its paths, parameters its checked settings."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.params import check_params
from components.common.settings.spec import SHARED_SECTIONS, is_shared
from components.common.terminal import heading, show_plainly
from components.common.tracking.runs import KFP_RUN_ID
from pipelines.steps.bundles import BUNDLES, ELSEWHERE, FILES, find_artifact, find_input

# Kubernetes keeps what is written here as a pod's last message; Argo puts it into its own.
TERMINATION = Path("/dev/termination-log")
# Begins that message where another attempt may help; deploy/operator/retries.yaml looks for it.
TRY_AGAIN = "try again"
SERVER_ERROR = 500
# What clients of servers and stores call it, by names of classes, as none is imported here.
PASSING = {
    *("MlflowAwayError", "PassingError", "BusyError", "ConnectionError", "TimeoutError"),
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "HTTPClientError"),
    *("ProtocolError", "IncompleteRead", "IncompleteReadError"),
}
STOPPED = 128 + signal.SIGTERM
KFPS_RUN = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")


def run_room(room: str, given: Mapping[str, Any], volume: str = "") -> None:
    """Run a room on a task's arguments.

    Args:
        room: its name.
        given: the arguments of the task: an artifact for each path of the room's spec or for the
            folder that it is in, a mapping for each section of params.yaml that it reads.
        volume: where a shared volume is mounted: what the room has begun stays there for the next
            attempt of the same run. Empty: a next attempt begins anew.
    """
    kept = Path(volume) / "runs" / os.environ.get(KFP_RUN_ID, "run") / room if volume else None
    with failing_in_one_line():
        leave_kfps_run()
        spec = importlib.import_module(f"components.{room}.spec")
        params = read_params_of(room, given)
        heading(room, (spec.__doc__ or "").strip().splitlines()[0])
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            inputs = place_inputs(Path(folder), given, [f.name for f in fields(spec.Inputs)])
            with writing_outputs(given, [f.name for f in fields(spec.Outputs)], kept) as paths:
                run = importlib.import_module(f"components.{room}.run").run
                run(spec.Inputs(**inputs), spec.Outputs(**paths), params)


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


def read_names(given: Mapping[str, Any]) -> Any:
    """Return the checked section `mlflow` of a task's arguments."""
    sections = {"mlflow": restore_integers(given["mlflow"])}
    schema = {"mlflow": SHARED_SECTIONS["mlflow"]}
    return check_params(Path("parameters of the run"), sections, schema)["mlflow"]


def restore_integers(value: Any) -> Any:
    """Return a parameter with whole numbers as int: inside a mapping KFP sends all as float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: restore_integers(item) for key, item in value.items()}
    return [restore_integers(item) for item in value] if isinstance(value, list) else value


def place_inputs(folder: Path, given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Path]:
    """Return a room's inputs under the names that rooms know them by; nothing is copied.

    Args:
        folder: for the links, one for each input.
        given: the arguments of the task.
        names: of the inputs, as in the room's spec.
    """
    found = {}
    for name in names:
        source = find_input(given, name).resolve()
        found[name] = folder / FILES.get(name, name)
        found[name].symlink_to(source, target_is_directory=source.is_dir())
    return found


@contextmanager
def writing_outputs(
    given: Mapping[str, Any], names: Sequence[str], kept: Path | None = None
) -> Iterator[dict[str, Path]]:
    """Yield a path for each output of a room; afterwards what was written there is the artifacts'.

    Args:
        given: the arguments of the task.
        names: of the outputs, as in the room's spec; those of one bundle go into one folder.
        kept: folder to write in, which stays if the body raises; by default beside each artifact,
            on its disk, so that nothing is copied.
    """
    artifacts = {find_artifact(given, name): given[find_artifact(given, name)] for name in names}
    places: dict[str, Path] = {}
    for own, artifact in artifacts.items():
        target = Path(artifact.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        around = kept or Path(tempfile.mkdtemp(".work", ".darkroom-", target.parent))
        places[own] = around / own
    for own, place in places.items():
        (place if own in BUNDLES else place.parent).mkdir(parents=True, exist_ok=True)
    try:
        yield {name: _place(places, find_artifact(given, name), name) for name in names}
        for own, artifact in artifacts.items():
            made = places[own] if own in BUNDLES else _place(places, own, own)
            remove(Path(artifact.path))
            shutil.move(made, artifact.path)
        if kept is not None:
            shutil.rmtree(kept)
    finally:
        for place in () if kept is not None else places.values():
            shutil.rmtree(place.parent, ignore_errors=True)


def _place(places: Mapping[str, Path], own: str, name: str) -> Path:
    file = FILES.get(name, name)
    return places[own] / file if own in BUNDLES else places[own].with_name(file)


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
    """End the task with the user's error as the last line of its log, and no traceback.

    Kubernetes keeps that line too, and with `deploy/operator/retries.yaml` Argo reads there whether
    another attempt may help. A pod that is stopped ends as Python does on its own, so that MLflow's
    run is closed, and with 143: that exit code is tried again.
    """
    with exiting_on_sigterm():
        try:
            yield
        except DarkroomError as error:
            words = show_plainly(" ".join(str(error).split()))
            tell_kubernetes(f"{TRY_AGAIN if is_passing(error) else 'error'}: {words}")
            print(f"error: {words}", file=sys.stderr, flush=True)
            sys.exit(1)
        except Exception as error:  # a fault of ours, or of a library: the traceback is the log's
            words = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if is_full := getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
                where = getattr(error, "filename", "") or "/tmp or the node's disk"  # noqa: S108
                words = f"{where} is full; see tmp_size of kubeflow.tasks, or make room there"
            tell_kubernetes(f"{TRY_AGAIN if is_passing(error) else 'error'}: {words}")
            if not is_full:
                raise
            print(f"error: {words}", file=sys.stderr, flush=True)
            sys.exit(1)


def is_passing(error: BaseException) -> bool:
    """Whether what went wrong may be well in a minute: a server is away, a store fails."""
    seen: BaseException | None = error
    while seen is not None:
        kinds = {kind.__name__ for kind in type(seen).__mro__}
        answer = getattr(seen, "response", None)
        about = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
        if kinds & PASSING or about.get("HTTPStatusCode", 0) >= SERVER_ERROR:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def tell_kubernetes(words: str) -> None:
    """Write why the task ends where Kubernetes reads it, if this is a pod."""
    if TERMINATION.is_file():
        with suppress(OSError), TERMINATION.open("w", encoding="utf-8") as stream:
            stream.write(words[:2000])


@contextmanager
def exiting_on_sigterm() -> Iterator[None]:
    """Let what is stopped clean up, by a drained node or a terminated run: Python would not."""

    def stop(*_: Any) -> None:
        raise SystemExit(STOPPED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave_kfps_run() -> None:
    """Forget the MLflow run that KFP's own plugin opened for this task: ours is another.

    Its variables would make MLflow log everything there, or refuse where experiments differ.
    """
    found = {name: os.environ.pop(name) for name in KFPS_RUN if os.environ.get(name)}
    if found:
        print(
            f"  KFP's MLflow plugin set {', '.join(found)}; left aside: the pipeline keeps one run "
            "of its own, in mlflow.experiment of params.yaml",
            flush=True,
        )


def one_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what a task's body calls: see :func:`failing_in_one_line`."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with failing_in_one_line():
            return function(*args, **kwargs)

    return wrapped

"""The MLflow run of train and evaluate, with a server or without: see journal.py."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import write_json
from components.common.settings.spec import Mlflow
from components.common.terminal import say
from components.common.tracking.failures import MlflowAwayError, explain_failures
from components.common.tracking.journal import (
    Recorder,
    Silent,
    find_journal,
    read_journal,
    send_journal,
    stamp,
)
from components.common.tracking.runs import (
    CONTINUES,
    KFP_RUN_ID,
    KFP_TAG,
    SCHEMA,
    end_abandoned,
    find_run,
    name_run,
    open_run,
    read_run_id,
    set_experiment,
)
from components.common.tracking.server import describe_uri, import_mlflow
from components.common.tracking.signals import (
    TerminatedError,
    find_status,
    raising_on_sigterm,
)


@contextmanager
def start_recorded_run(
    names: Mlflow,
    file: Path,
    earlier: str = "",
    silent: bool = False,
    abandoned: Sequence[str] = (),
) -> Iterator[Any]:
    """Open the run of this pipeline execution, train's; the server may be away.

    Args:
        names: the experiment that holds the run.
        file: JSON file that will hold the run's id; written last.
        earlier: run of a training that was killed, to go on with.
        silent: log nothing: of several machines that train together, one logs.
        abandoned: runs that nobody goes on with; those that still count as running are ended.
    """
    if silent:
        yield Silent()
        return
    journal = find_journal(file)
    left = [one for one in dict.fromkeys((*abandoned, *_list_runs(file))) if one != earlier]
    try:
        mlflow = import_mlflow()
        with explain_failures():
            send_journal(mlflow, names, journal)
            for run_id in left:
                end_abandoned(mlflow, names.experiment, run_id)
            mlflow.enable_system_metrics_logging()
            experiment = set_experiment(mlflow, names.experiment)
            run_id = open_run(mlflow, experiment, earlier).info.run_id
        recorder = Recorder(mlflow, names, run_id, journal)
    except MlflowAwayError as away:
        opening = {} if earlier else {"open": _describe_run(names)}
        recorder = _record_apart(away, names, earlier or uuid.uuid4().hex, journal, opening)
        for run_id in left:
            recorder.keep({"abandoned": True}, run_id)
    with _until_its_end(recorder):
        yield recorder
        own = [line for line in read_journal(journal) if line["run_id"] == recorder.run_id]
        found: dict[str, Any] = {"run_id": recorder.run_id, "experiment": names.experiment}
        if any("open" in line for line in own):  # no server knows it: its record goes along
            found["unsent"] = [*own, stamp({"status": "FINISHED"}, recorder.run_id)]
        write_json(file, SCHEMA.put_on(found))


def _list_runs(file: Path) -> list[str]:
    """Return the run that a file names until now; a later room may have been killed in it."""
    try:
        return [read_run_id(file)] if file.is_file() else []
    except DarkroomError:  # whatever it is, it is about to be replaced
        return []


@contextmanager
def continue_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Go on with the run that a file names; yields the `mlflow` module with it active.

    A model from the DVC cache may know a run that this MLflow server never saw, or that was
    deleted: then a new run is opened, and its tag `darkroom.continues` names the lost one. Whoever
    continues next finds the new one by that tag.
    """
    mlflow = import_mlflow()
    with explain_failures():
        resume_run(mlflow, names, file)
        status = "FINISHED"
        try:
            with raising_on_sigterm():
                yield mlflow
        except BaseException as error:
            status = find_status(error)
            raise
        finally:
            mlflow.end_run(status)


def resume_run(mlflow: Any, names: Mlflow, file: Path) -> Any:
    """Start the run that a file names, or the one that goes on with it; it is told what was kept.

    Returns:
        MLflow's active run, which ends with a `with` around it.
    """
    run_id = read_run_id(file)
    send_journal(mlflow, names, find_journal(file), file)
    if found := find_run(mlflow, names.experiment, run_id):
        return mlflow.start_run(run_id=found)
    say(f"MLflow at {describe_uri(mlflow)} does not know run {run_id}: a new run goes on with it")
    return mlflow.start_run(tags={CONTINUES: run_id})


@contextmanager
def continue_recorded_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Go on with the run that a file names, as :func:`continue_run`; the server may be away."""
    run_id, journal = read_run_id(file), find_journal(file)
    try:
        mlflow = import_mlflow()
        with explain_failures():
            run_id = resume_run(mlflow, names, file).info.run_id
        recorder = Recorder(mlflow, names, run_id, journal)
    except MlflowAwayError as away:
        recorder = _record_apart(away, names, run_id, journal, {})
    with _until_its_end(recorder):
        yield recorder


@contextmanager
def _until_its_end(recorder: Recorder) -> Iterator[None]:
    status = "FINISHED"
    try:
        with raising_on_sigterm():
            yield
    except BaseException as error:
        status = find_status(error)
        if isinstance(error, TerminatedError):
            say(f"SIGTERM: run {recorder.run_id} ends as {status}")
        raise
    finally:
        with explain_failures():
            recorder.end(status)


def _record_apart(
    away: MlflowAwayError, names: Mlflow, run_id: str, journal: Path, opening: dict[str, Any]
) -> Recorder:
    """Return a recorder that keeps all until MLflow answers, the opening first."""
    import mlflow

    say(
        f"{away.finding}: the work goes on, and {journal} keeps its record, which the next stage "
        "or run that reaches MLflow sends"
    )
    recorder = Recorder(mlflow, names, run_id, journal)
    recorder.keep(opening | {"tags": {"darkroom.recorded_apart": "true"}})
    return recorder


def _describe_run(names: Mlflow) -> dict[str, Any]:
    """Return what is needed to open the run of this process later."""
    from mlflow.tracking.context.registry import resolve_tags

    kfp_run = os.environ.get(KFP_RUN_ID, "").strip()
    tags = resolve_tags({KFP_TAG: kfp_run} if kfp_run else None)
    return {"experiment": names.experiment, "name": name_run(), "tags": tags}

"""The MLflow run of train and evaluate, with a server or without: see journal.py."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.failures import MlflowAwayError, explain_failures
from components.common.files import write_json
from components.common.journal import (
    Recorder,
    Silent,
    find_journal,
    read_journal,
    send_journal,
    stamp,
)
from components.common.spec import Mlflow
from components.common.terminal import say
from components.common.tracking import (
    KFP_RUN_ID,
    KFP_TAG,
    import_mlflow,
    name_run,
    open_run,
    read_run_id,
    resume_run,
    set_experiment,
)


@contextmanager
def start_recorded_run(
    names: Mlflow, file: Path, earlier: str = "", silent: bool = False
) -> Iterator[Any]:
    """Open the run of this pipeline execution, as `tracking.start_run`; the server may be away.

    Args:
        names: the experiment that holds the run.
        file: JSON file that will hold the run's id; written last.
        earlier: run of a training that was killed, to go on with.
        silent: log nothing: of several machines that train together, one logs.
    """
    if silent:
        yield Silent()
        return
    journal = find_journal(file)
    try:
        mlflow = import_mlflow()
        with explain_failures():
            send_journal(mlflow, names, journal)
            mlflow.enable_system_metrics_logging()
            experiment = set_experiment(mlflow, names.experiment)
            run_id = open_run(mlflow, experiment, earlier).info.run_id
        recorder = Recorder(mlflow, names, run_id, journal)
    except MlflowAwayError as away:
        opening = {} if earlier else {"open": _describe_run(names)}
        recorder = _record_apart(away, names, earlier or uuid.uuid4().hex, journal, opening)
    with _until_its_end(recorder):
        yield recorder
        own = [line for line in read_journal(journal) if line["run_id"] == recorder.run_id]
        found: dict[str, Any] = {"run_id": recorder.run_id, "experiment": names.experiment}
        if any("open" in line for line in own):  # no server knows it: its record goes along
            found["unsent"] = [*own, stamp({"status": "FINISHED"}, recorder.run_id)]
        write_json(file, found)


@contextmanager
def continue_recorded_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Go on with the run that a file names, as `tracking.continue_run`; the server may be away."""
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
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
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

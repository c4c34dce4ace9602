"""MLflow tracking: one run for one pipeline execution, opened by train, gone on with by later rooms."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files import read_json, write_json
from components.common.spec import Mlflow
from components.common.terminal import say

DEFAULT_URI = "sqlite:///mlflow.db"


def import_mlflow() -> Any:
    """Import MLflow, quiet, set on MLFLOW_TRACKING_URI or else on mlflow.db in the present folder."""
    # Its migrations of a new database would print some fifty lines.
    logging.getLogger("alembic").setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow

    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    return mlflow


@contextmanager
def start_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Open the run of this pipeline execution and write down where later rooms find it.

    Args:
        names: the experiment that holds the run.
        file: JSON file that will hold the run's id, for :func:`continue_run`; written last.

    Yields:
        The `mlflow` module with the run active; the run ends as FAILED if the body raises.
    """
    mlflow = import_mlflow()
    mlflow.set_experiment(names.experiment)
    with mlflow.start_run() as run:
        yield mlflow
        write_json(file, {"run_id": run.info.run_id, "experiment": names.experiment})


@contextmanager
def continue_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Go on with the run that :func:`start_run` opened; yields the `mlflow` module with it active.

    A model from the DVC cache may know a run that this MLflow server never saw, or that was deleted:
    then a new run is opened, and its tag `darkroom.continues` names the lost one.
    """
    mlflow = import_mlflow()
    run_id = read_run_id(file)
    try:
        known = mlflow.get_run(run_id).info.lifecycle_stage == "active"
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = False
    mlflow.set_experiment(names.experiment)
    if known:
        with mlflow.start_run(run_id=run_id):
            yield mlflow
        return
    say(f"MLflow at {mlflow.get_tracking_uri()} does not know run {run_id}: a new run goes on with it")
    with mlflow.start_run(tags={"darkroom.continues": run_id}):
        yield mlflow


def read_run_id(file: Path) -> str:
    """Return the id of the run that train opened."""
    found = read_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("run_id"), str):
        raise DarkroomError(f"{file}: holds no run_id; run train again")
    return found["run_id"]


def log_params(mlflow: Any, params: Mapping[str, Any]) -> None:
    """Log settings to the active run; where a room runs again, settings that changed keep their first value.

    MLflow refuses a second value for a param. A room that runs again in the same run with other settings
    records them as tags `params.<name>` beside it.
    """
    known = mlflow.get_run(mlflow.active_run().info.run_id).data.params
    new = {key: value for key, value in params.items() if key not in known}
    mlflow.log_params(new)
    changed = {key: str(v) for key, v in params.items() if key in known and known[key] != str(v)}
    if changed:
        mlflow.set_tags({f"params.{key}": value for key, value in changed.items()})

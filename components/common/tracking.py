"""MLflow tracking: one run for one pipeline execution; train opens it, later rooms continue it."""

from __future__ import annotations

import http.client
import logging
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.failures import explain_failures, hide_password
from components.common.files import read_json, write_json
from components.common.spec import Mlflow
from components.common.terminal import say

KFP_RUN_ID = "DARKROOM_KFP_RUN_ID"  # in the environment of every task of a Kubeflow pipeline
KFP_TAG = "darkroom.kfp_run_id"  # of the MLflow run
CONTINUES = "darkroom.continues"  # of a run: the id of the one that this server does not know
DEFAULT_URI = "sqlite:///mlflow.db"
# Set only where the environment says nothing: a stage prints its own findings, and sends none away.
QUIET = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow waits 4, 8, 16 … seconds between its tries: about a minute in all, not its four.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
}


def import_mlflow(create: bool = True) -> Any:
    """Import MLflow, quiet, set on MLFLOW_TRACKING_URI or else on mlflow.db in the present folder.

    Args:
        create: make a database that is not there yet, where the address is that of an sqlite file.

    Raises:
        MlflowAwayError: if nothing answers there.
        DarkroomError: if it refuses, or is no MLflow.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Its migrations of a new database would print some fifty lines.
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow

    uri = find_uri()
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.exists():
        if not create:
            raise DarkroomError(
                f"{file}: no MLflow database here; run the pipeline first, or set "
                "MLFLOW_TRACKING_URI"
            )
        say(f"creating {file}, the database of MLflow: once, and about ten seconds")
    mlflow.set_tracking_uri(uri)
    _announce_waiting(uri)
    with explain_failures(first_contact=True):
        mlflow.search_experiments(max_results=1)
    return mlflow


@contextmanager
def start_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Open the run of this pipeline execution and write down where later rooms find it.

    Under Kubeflow the run carries the id of the KFP run, and a task that is tried again goes on
    with the run of its earlier attempt.

    Args:
        names: the experiment that holds the run.
        file: JSON file that will hold the run's id, for :func:`continue_run`; written last.

    Yields:
        The `mlflow` module with the run active; the run ends as FAILED if the body raises.
    """
    mlflow = import_mlflow()
    with explain_failures():
        experiment = set_experiment(mlflow, names.experiment)
        with open_run(mlflow, experiment) as run:
            yield mlflow
            write_json(file, {"run_id": run.info.run_id, "experiment": names.experiment})


@contextmanager
def continue_run(names: Mlflow, file: Path) -> Iterator[Any]:
    """Go on with the run that :func:`start_run` opened; yields the `mlflow` module with it active.

    A model from the DVC cache may know a run that this MLflow server never saw, or that was
    deleted: then a new run is opened, and its tag `darkroom.continues` names the lost one. Whoever
    continues next finds the new one by that tag.
    """
    mlflow = import_mlflow()
    with explain_failures(), resume_run(mlflow, names, file):
        yield mlflow


def resume_run(mlflow: Any, names: Mlflow, file: Path) -> Any:
    """Start the run that a file names, or the one that goes on with it; it is told what was kept.

    Returns:
        MLflow's active run, which ends with a `with` around it.
    """
    from components.common.journal import find_journal, send_journal

    run_id = read_run_id(file)
    send_journal(mlflow, names, find_journal(file), file)
    if found := find_run(mlflow, names.experiment, run_id):
        return mlflow.start_run(run_id=found)
    say(f"MLflow at {describe_uri(mlflow)} does not know run {run_id}: a new run goes on with it")
    return mlflow.start_run(tags={CONTINUES: run_id})


def find_run(mlflow: Any, experiment: str, run_id: str) -> str:
    """Return the id of a run, or of the one that goes on with it; empty if there is neither."""
    found = set_experiment(mlflow, experiment)
    if _is_active(mlflow, run_id):
        return run_id
    later = mlflow.MlflowClient().search_runs(
        [found.experiment_id], f"tags.`{CONTINUES}` = '{run_id}'", max_results=1
    )
    return str(later[0].info.run_id) if later else ""


def read_run_id(file: Path) -> str:
    """Return the id of the run that train opened."""
    found = read_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("run_id"), str):
        raise DarkroomError(f"{file}: holds no run_id; run train again")
    return str(found["run_id"])


def log_params(mlflow: Any, params: Mapping[str, Any]) -> None:
    """Log settings to the active run; one that changed keeps its first value.

    MLflow refuses a second value for a param. A room that runs again in the same run with other
    settings records them as tags `params.<name>` beside it.
    """
    if record := getattr(mlflow, "record_params", None):  # a Recorder's
        record(params)
    else:
        add_params(mlflow, mlflow.active_run().info.run_id, params)


def add_params(mlflow: Any, run_id: str, params: Mapping[str, Any]) -> None:
    """Log settings to a run, as :func:`log_params` does."""
    client, entities = mlflow.MlflowClient(), mlflow.entities
    known = client.get_run(run_id).data.params
    texts = {key: str(value) for key, value in params.items()}
    new = [entities.Param(key, text) for key, text in texts.items() if key not in known]
    changed = [
        entities.RunTag(f"params.{key}", text)
        for key, text in texts.items()
        if known.get(key, text) != text
    ]
    client.log_batch(run_id, params=new, tags=changed)


def find_uri() -> str:
    """Return the address of MLflow, from the environment or the default."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def describe_uri(mlflow: Any) -> str:
    """Return where MLflow is, without a password."""
    return hide_password(mlflow.get_tracking_uri())


def _announce_waiting(uri: str) -> None:
    """Say so if a server does not answer at once: MLflow itself tries for a minute, in silence."""
    if not uri.startswith(("http://", "https://")):
        return
    address = hide_password(uri)
    try:
        urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310 - http or https
    except urllib.error.HTTPError:
        return  # it answers; what it thinks of us is seen next
    except (OSError, ValueError, http.client.HTTPException):
        print(f"  MLflow at {address} does not answer; trying again for a while", file=sys.stderr)


def open_run(mlflow: Any, experiment: Any, earlier_id: str = "") -> Any:
    """Start a run, or go on with an earlier one; under Kubeflow with that of the same KFP run."""
    if earlier_id and (found := find_run(mlflow, experiment.name, earlier_id)):
        return mlflow.start_run(run_id=found)
    kfp_run = os.environ.get(KFP_RUN_ID, "").strip()
    name = name_run()
    if not kfp_run:
        return mlflow.start_run(run_name=name)
    earlier = mlflow.MlflowClient().search_runs(
        [experiment.experiment_id], f"tags.`{KFP_TAG}` = '{kfp_run}'", max_results=1
    )
    if earlier:
        return mlflow.start_run(run_id=earlier[0].info.run_id, tags={KFP_TAG: kfp_run})
    return mlflow.start_run(run_name=name, tags={KFP_TAG: kfp_run})


def name_run() -> str:
    """Return the name of a run that starts now.

    MLflow would draw one from the seeded generator: every run would have the same.
    """
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _is_active(mlflow: Any, run_id: str) -> bool:
    try:
        return str(mlflow.get_run(run_id).info.lifecycle_stage) == "active"
    except mlflow.exceptions.MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return False


def set_experiment(mlflow: Any, name: str) -> Any:
    """Make the experiment, or say what to do where one of that name was deleted."""
    found = mlflow.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise DarkroomError(
            f"MLflow at {describe_uri(mlflow)}: experiment {name} was deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or set mlflow.experiment to "
            "another"
        )
    return mlflow.set_experiment(name)

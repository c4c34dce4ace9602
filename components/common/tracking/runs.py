"""MLflow's runs: one for one pipeline execution; train opens it, later rooms continue it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.writing import read_json
from components.common.terminal import say
from components.common.tracking.server import describe_uri

SCHEMA = Schema("run", stage="train")
KFP_RUN_ID = "DARKROOM_KFP_RUN_ID"  # in the environment of every task of a Kubeflow pipeline
KFP_TAG = "darkroom.kfp_run_id"  # of the MLflow run
CONTINUES = "darkroom.continues"  # of a run: the id of the one that this server does not know


def find_run(mlflow: Any, experiment: str, run_id: str) -> str:
    """Return the id of a run, or of the one that goes on with it; empty if there is neither."""
    found = set_experiment(mlflow, experiment)
    if _is_active(mlflow, run_id):
        return run_id
    later = mlflow.MlflowClient().search_runs(
        [found.experiment_id], f"tags.`{CONTINUES}` = '{run_id}'", max_results=1
    )
    return str(later[0].info.run_id) if later else ""


def end_abandoned(mlflow: Any, experiment: str, run_id: str) -> None:
    """End a run as killed if it still counts as running, though its process was killed."""
    found = find_run(mlflow, experiment, run_id)
    if found and mlflow.get_run(found).info.status == "RUNNING":
        mlflow.MlflowClient().set_terminated(found, "KILLED")
        say(f"run {found} was killed, and nobody goes on with it: MLflow calls it so now")


def read_run_id(file: Path) -> str:
    """Return the id of the run that train opened."""
    found = SCHEMA.take_off(file, read_json(file))
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

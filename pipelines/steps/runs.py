"""Where MLflow and KFP meet: who is champion, and what became of the run."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.files.writing import compute_sha256
from components.common.tracking.failures import hide_password
from components.common.tracking.runs import KFP_RUN_ID, KFP_TAG, read_run_id
from components.common.tracking.server import find_uri, import_mlflow
from components.common.tracking.tags import CHAMPION, MODEL_DIGEST
from pipelines.steps.bundles import FILES
from pipelines.steps.rooms import one_line, read_names

THIS_MODEL = "this model"  # is champion already: there is nothing to promote
TAG_STATE = "darkroom.kfp_state"
SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"  # our words for it, whatever the runner calls it


@one_line
def show_model(model: Any) -> str:
    """Tell the KFP page where MLflow has the run; return the digest of the model file."""
    folder = Path(model.path)
    run_id = read_run_id(folder / FILES["run"])
    # The server is not asked: a model that took hours must not be lost because it is away now.
    uri = find_uri()
    model.metadata |= {"mlflow": hide_password(uri), "mlflow_run": run_id}
    return compute_sha256(folder / FILES["model"])


def look_up_champion(given: Mapping[str, Any], model_digest: str) -> str:
    """Return which version is champion now: `version 3`, `none`, or `this model` itself."""
    names = read_names(given)
    registry = importlib.import_module("components.promote.registry.registry")
    mlflow = import_mlflow()
    found = registry.Registry(mlflow, names.registered_model).find_alias(CHAMPION)
    if found is None:
        return "none"
    if found.tags.get(MODEL_DIGEST) == model_digest:
        return THIS_MODEL
    return f"version {found.version}"


@contextmanager
def recording_end(given: Mapping[str, Any], *, last: bool = False) -> Iterator[None]:
    """Note on the MLflow run how the KFP run ended, if it ends here.

    There is no task for it: KFP has an exit task only for a group of tasks, which hides them all on
    its page. So each task that works in an MLflow run notes its failure there, and the last one
    success. A pod that is killed can note nothing: its run stays RUNNING until KFP's Retry goes on
    with it, or `python -m pipelines clean` finds its KFP run at an end.

    Args:
        given: the arguments of the task; `mlflow`, and `model` where it is made already.
        last: the KFP run ends well if this does.
    """
    try:
        yield
    except BaseException:  # SystemExit is how a room ends with bad input; all are raised again
        _note(given, FAILED)
        raise
    if last:
        _note(given, SUCCEEDED)


def _note(given: Mapping[str, Any], state: str) -> None:
    try:
        mlflow = import_mlflow()
        kfp_run = os.environ.get(KFP_RUN_ID, "")
        ids = [one.info.run_id for one in find_runs(mlflow, read_names(given).experiment, kfp_run)]
        own = Path(given["model"].path) / FILES["run"] if "model" in given else Path()
        if not ids and own.is_file():  # train was answered from the cache: another KFP run's
            ids = [read_run_id(own)]
        for run_id in ids:
            close_run(mlflow, run_id, state)
    except Exception as error:  # that must not hide why the task fails
        print(f"  MLflow was not told that the run ended: {error}", file=sys.stderr, flush=True)


def close_run(mlflow: Any, run_id: str, state: str) -> None:
    """Tag a run with how its KFP run ended; one that was left open is ended."""
    client = mlflow.MlflowClient()
    client.set_tag(run_id, TAG_STATE, state)
    if state != SUCCEEDED and client.get_run(run_id).info.status == "RUNNING":
        client.set_terminated(run_id, "FAILED")


def find_runs(mlflow: Any, experiment: str, kfp_run: str) -> list[Any]:
    """Return the MLflow runs that a KFP run opened."""
    found = mlflow.get_experiment_by_name(experiment)
    if found is None or not kfp_run:
        return []
    client = mlflow.MlflowClient()
    return list(client.search_runs([found.experiment_id], f"tags.`{KFP_TAG}` = '{kfp_run}'"))

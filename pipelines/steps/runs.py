"""Where MLflow and KFP meet: who is champion, and what became of the run."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.files.writing import compute_sha256, write_text
from components.common.settings.params import check_params
from components.common.settings.spec import SHARED_SECTIONS
from components.common.tracking.failures import explain_failures, hide_password
from components.common.tracking.runs import KFP_RUN_ID, KFP_TAG, read_run_id
from components.common.tracking.server import describe_uri, find_uri, import_mlflow
from components.common.tracking.tags import CHAMPION, MODEL_DIGEST
from pipelines.steps.rooms import one_line, restore_integers

THIS_MODEL = "this model"  # is champion already: there is nothing to promote
TAG_STATE = "darkroom.kfp_state"


@one_line
def show_model(model: Any, run: Any) -> str:
    """Tell the KFP page where MLflow has the run; return the digest of the model file."""
    run_id = read_run_id(Path(run.path))
    # The server is not asked: a model that took hours must not be lost because it is away now.
    uri = find_uri()
    model.metadata |= {"mlflow": hide_password(uri), "mlflow_run": run_id}
    return compute_sha256(Path(model.path))


@one_line
def look_up_champion(given: Mapping[str, Any], model_digest: str) -> str:
    """Return which version is champion now: `version 3`, `none`, or `this model` itself."""
    names = _names(given)
    registry = importlib.import_module("components.promote.registry.registry")
    mlflow = import_mlflow()
    found = registry.Registry(mlflow, names.registered_model).find_alias(CHAMPION)
    if found is None:
        return "none"
    if found.tags.get(MODEL_DIGEST) == model_digest:
        return THIS_MODEL
    return f"version {found.version}"


@one_line
def record_end(given: Mapping[str, Any], state: str, error: str, page: Any) -> None:
    """Note on the MLflow run how the KFP run ended; a run that a killed task left open is ended."""
    kfp_run = os.environ.get(KFP_RUN_ID, "")
    lines = [f"# The pipeline ended: {state}", ""]
    if error:
        lines += [f"> {' '.join(error.split())}", ""]
    mlflow = import_mlflow()
    with explain_failures():
        for run in find_runs(mlflow, _names(given).experiment, kfp_run):
            client = mlflow.MlflowClient()
            client.set_tag(run.info.run_id, TAG_STATE, state)
            if run.info.status == "RUNNING" and state != "SUCCEEDED":
                client.set_terminated(run.info.run_id, "FAILED")
            lines += [f"- MLflow: {describe_uri(mlflow)}, run `{run.info.run_id}`"]
    lines += [f"- KFP run: `{kfp_run}`"]
    write_text(Path(page.path), "\n".join(lines) + "\n")


def find_runs(mlflow: Any, experiment: str, kfp_run: str) -> list[Any]:
    """Return the MLflow runs that a KFP run opened."""
    found = mlflow.get_experiment_by_name(experiment)
    if found is None or not kfp_run:
        return []
    client = mlflow.MlflowClient()
    return list(client.search_runs([found.experiment_id], f"tags.`{KFP_TAG}` = '{kfp_run}'"))


def _names(given: Mapping[str, Any]) -> Any:
    sections = {"mlflow": restore_integers(given["mlflow"])}
    schema = {"mlflow": SHARED_SECTIONS["mlflow"]}
    return check_params(Path("parameters of the run"), sections, schema)["mlflow"]

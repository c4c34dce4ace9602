"""What watch found, in MLflow: a run with the figures, and a tag that a webhook can wait for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from components.common.settings.spec import Mlflow
from components.common.tracking.failures import explain_failures
from components.common.tracking.server import import_mlflow
from components.common.tracking.tags import PREFIX

DRIFT = f"{PREFIX}drift"  # tag of a version; MLflow's webhooks tell of `model_version_tag.set`
WATCHED = f"{PREFIX}watched"  # tag of a run of watch: the version it was about
RUN_NAME = "watch"


def record_watch(name: str, version: str, result: Mapping[str, Any]) -> str:
    """Keep a result of watch beside the version that it is about; return the id of its run.

    The version's tag `darkroom.drift` is set where it has drifted, and where it had before.

    Args:
        name: of the registered model.
        version: the watched one.
        result: as watch writes it.

    Raises:
        DarkroomError: if MLflow does not take it.
    """
    mlflow = import_mlflow(create=False)
    with explain_failures():
        client = mlflow.MlflowClient()
        found = client.get_model_version(name, version)
        tags = {"mlflow.runName": RUN_NAME, WATCHED: f"{name}/{version}"}
        run = client.create_run(_find_experiment(mlflow, client, found.run_id), tags=tags)
        run_id = str(run.info.run_id)
        for key, value in _list_figures(result).items():
            client.log_metric(run_id, key, value)
        client.log_dict(run_id, dict(result), "drift.json")
        client.set_terminated(run_id)
        if result["drifted"] or DRIFT in found.tags:
            client.set_model_version_tag(name, version, DRIFT, _describe(result, run_id))
    return run_id


def _list_figures(result: Mapping[str, Any]) -> dict[str, float]:
    figures = {f"drift.{name}": float(result[name]) for name in ("drifted", "images", "unreadable")}
    if result["unsure_share"] is not None:
        figures["drift.unsure_share"] = result["unsure_share"]
    for shift in result["shifts"]:
        figures[f"drift.{shift['figure']}.effect"] = shift["effect"]
        figures[f"drift.{shift['figure']}.p_value"] = shift["p_value"]
        for when in ("before", "now"):
            if isinstance(shift[when], float):
                figures[f"drift.{shift['figure']}.{when}"] = shift[when]
    return figures


def _describe(result: Mapping[str, Any], run_id: str) -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    drifted = [shift for shift in result["shifts"] if shift["is_drift"]]
    what = ", ".join(f"{shift['figure']} {shift['effect']:.2f}" for shift in drifted) or "none"
    return f"{what} ({now}, {result['images']} images, run {run_id})"


def _find_experiment(mlflow: Any, client: Any, run_id: str | None) -> str:
    """Return the experiment of the run that registered the version; where it is gone, ours."""
    try:
        if run_id:
            return str(client.get_run(run_id).info.experiment_id)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    experiment = client.get_experiment_by_name(Mlflow().experiment)
    return str(
        experiment.experiment_id if experiment else client.create_experiment(Mlflow().experiment)
    )

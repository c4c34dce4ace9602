"""What the run that measured a version keeps: promote writes it, promote and predict fetch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.common.tracking.tags import EVALUATION, EVALUATION_RUN


def fetch_evaluation(mlflow: Any, version: Any, name: str, folder: str) -> Path | None:
    """Fetch a file of a version's evaluation; None if it is not to be had.

    Args:
        mlflow: the module, set on a server.
        version: the model version; where none of its tags names the run that measured it, the run
            that registered it is asked.
        name: of the file: METRICS, PREDICTIONS, SAMPLE or REFERENCE.
        folder: gets the file.
    """
    run_id = version.tags.get(EVALUATION_RUN) or version.run_id
    client, file = mlflow.MlflowClient(), f"{EVALUATION}/{name}"
    try:
        kept = client.list_artifacts(run_id, EVALUATION) if run_id else []
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None  # the run is gone
    if file not in [entry.path for entry in kept]:
        return None
    return Path(client.download_artifacts(run_id, file, folder))

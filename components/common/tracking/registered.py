"""Versions of the registry, for those who read them: which one is meant, and its model file.

Promote moves aliases and registers; predict answers with a version, and train may go on from one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.tracking.failures import explain_failures
from components.common.tracking.server import describe_uri, import_mlflow
from components.common.tracking.tags import MODEL_DIGEST

# One spelling for each version, and none that a database's integers cannot hold.
VERSION = re.compile(r"[1-9][0-9]{0,8}")
IN_REGISTRY = re.compile(
    rf"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>{VERSION.pattern}))"
)


def find_registered(model: str) -> tuple[Any, Any]:
    """Return MLflow, set on its server, and the version that is meant at this moment.

    Args:
        model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        DarkroomError: if there is no such version, or nobody answers.
    """
    parts = IN_REGISTRY.fullmatch(model)
    if parts is None:
        raise DarkroomError(f"{model}: legal are models:/NAME@ALIAS and models:/NAME/VERSION")
    mlflow = import_mlflow(create=False)
    with explain_failures():
        return mlflow, _find_version(mlflow, model, **parts.groupdict())


def fetch_model_file(mlflow: Any, version: Any, name: str, folder: Path) -> Path:
    """Fetch the model file of a version; nothing that lies beside it is fetched or run.

    Args:
        mlflow: of :func:`find_registered`, as is the version.
        version: whose file.
        name: of the file among its artifacts.
        folder: gets it.

    Raises:
        DarkroomError: if it is not to be had, or not the one that was registered.
    """
    with explain_failures():
        file = _download(mlflow, version, name, folder)
    expected = version.tags.get(MODEL_DIGEST)
    if expected and compute_sha256(file) != expected:
        raise DarkroomError(
            f"models:/{version.name}: version {version.version} is not the file that was "
            f"registered (its sha256 is not {expected}); the artifact store is damaged: restore "
            "it, or promote again"
        )
    return file


def _find_version(
    mlflow: Any, model: str, name: str, alias: str | None, version: str | None
) -> Any:
    client = mlflow.MlflowClient()
    where = describe_uri(mlflow)
    try:
        registered = client.get_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = ", ".join(found.name for found in client.search_registered_models(max_results=20))
        raise DarkroomError(
            f"{model}: MLflow at {where} has no model {name}; it has {names or 'none yet'}"
        ) from None
    if alias is not None and alias not in registered.aliases:
        known = ", ".join(f"{a} (version {v})" for a, v in sorted(registered.aliases.items()))
        raise DarkroomError(
            f"{model}: {name} has no alias {alias}; it has {known or 'none yet'}. A version can be "
            f"named as well: models:/{name}/1"
        )
    wanted = version or registered.aliases[alias]
    try:
        return client.get_model_version(name, wanted)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise DarkroomError(
            f"{model}: {name} has no version {wanted}; `make ui` lists them"
        ) from None


def _download(mlflow: Any, version: Any, name: str, folder: Path) -> Path:
    uri = f"models:/{version.name}/{version.version}/artifacts/{name}"
    try:
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    except (mlflow.exceptions.MlflowException, OSError) as error:
        if "API request to" in str(error):
            raise
        raise DarkroomError(
            f"models:/{version.name}/{version.version}: {_describe_loss(mlflow, version, name)}"
        ) from None


def _describe_loss(mlflow: Any, version: Any, name: str) -> str:
    """Return why the files of a version are not to be had, as far as MLflow knows."""
    none = f"its artifacts hold no {name}; wanted is a version that promote registered"
    source = str(version.source)
    if not source.startswith("models:/"):
        return none
    try:
        place = str(mlflow.get_logged_model(source.removeprefix("models:/")).artifact_location)
    except mlflow.exceptions.MlflowException:
        return "its files were deleted in MLflow; promote again, or name another version"
    path = Path(place.removeprefix("file://"))
    if "://" in str(path) or path.exists():
        return none
    return (
        f"its files are not where they were stored, {path}; bring that folder back, or promote "
        "again"
    )

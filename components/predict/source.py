"""Find a model file: on disk, or in the registry behind an alias or a version."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.serving.classifier import MODEL_FILE
from components.common.serving.decisions import DECISIONS_FILE, Decisions, read_decisions
from components.common.tracking.evaluations import fetch_evaluation
from components.common.tracking.failures import explain_failures
from components.common.tracking.server import describe_uri, import_mlflow
from components.common.tracking.tags import (
    DECISIONS_DIGEST,
    MODEL_DIGEST,
    REFERENCE,
    UNSURE_BELOW,
)

IN_REGISTRY = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Source:
    """A model on disk."""

    file: Path
    version: str | None = None  # in the registry
    decisions: Decisions = field(default_factory=Decisions)
    reference: Path | None = None  # what its data looked like, where it was asked for and is kept


@contextmanager
def open_model(model: str, with_reference: bool = False) -> Iterator[Source]:
    """Yield a model as a local file; a download is removed afterwards.

    Only the model file is fetched: nothing that lies beside it in the registry is run.

    Args:
        model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or the path of a model.keras.
        with_reference: fetch what its data looked like as well.

    Raises:
        DarkroomError: if there is no such model, or its file is not the one that was registered.
    """
    if not model.startswith("models:"):
        if not Path(model).is_file():
            raise DarkroomError(
                f"--model {model}: no such file; give a model.keras, or models:/NAME@champion for "
                "one of the registry"
            )
        yield Source(Path(model))
        return
    parts = IN_REGISTRY.fullmatch(model)
    if parts is None:
        raise DarkroomError(
            f"--model {model}: legal are models:/NAME@ALIAS and models:/NAME/VERSION"
        )
    mlflow = import_mlflow(create=False)
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        with explain_failures():
            version = _find_version(mlflow, model, **parts.groupdict())
            file = _download(mlflow, version, folder)
        expected = version.tags.get(MODEL_DIGEST)
        if expected and compute_sha256(file) != expected:
            raise DarkroomError(
                f"{model}: version {version.version} is not the file that was registered (its "
                f"sha256 is not {expected}); the artifact store is damaged: restore it, or promote "
                "again"
            )
        reference = None
        if with_reference:
            with explain_failures():
                reference = fetch_evaluation(mlflow, version, REFERENCE, folder)
        decisions = _read_decisions(mlflow, model, version, folder)
        yield Source(file, str(version.version), decisions, reference)


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


def _read_decisions(mlflow: Any, model: str, version: Any, folder: str) -> Decisions:
    """Return the limits of a version; early ones keep a threshold, or nothing."""
    below = version.tags.get(UNSURE_BELOW)
    decisions = Decisions(None if below is None else float(below))
    digest = version.tags.get(DECISIONS_DIGEST)
    if digest is None:
        return decisions
    uri = f"models:/{version.name}/{version.version}/artifacts/{DECISIONS_FILE}"
    with explain_failures():
        found = read_decisions(Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder)))
    if found.compute_digest() != digest:
        raise DarkroomError(
            f"{model}: version {version.version} is not as it was registered (the sha256 of its "
            f"{DECISIONS_FILE} is not {digest}); the artifact store is damaged: restore it, or "
            "promote again"
        )
    return replace(found, unsure_below=decisions.unsure_below)


def _download(mlflow: Any, version: Any, folder: str) -> Path:
    uri = f"models:/{version.name}/{version.version}/artifacts/{MODEL_FILE}"
    try:
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
    except (mlflow.exceptions.MlflowException, OSError) as error:
        if "API request to" in str(error):
            raise
        raise DarkroomError(
            f"models:/{version.name}/{version.version}: its artifacts hold no model.keras; predict "
            "wants a version that promote registered"
        ) from None

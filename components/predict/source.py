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
    SAMPLE,
    UNSURE_BELOW,
)

MLMODEL = "MLmodel"  # what makes a folder a model of MLflow
EARLIER = "unsure_below"  # key of the threshold in the configuration of earlier versions
IN_REGISTRY = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Source:
    """A model on disk."""

    file: Path
    version: str | None = None  # in the registry
    decisions: Decisions = field(default_factory=Decisions)
    # What its data looked like, and test images with their answers, where asked for and kept.
    reference: Path | None = None
    sample: Path | None = None


@contextmanager
def open_model(
    model: str, with_reference: bool = False, with_sample: bool = False
) -> Iterator[Source]:
    """Yield a model as a local file; a download is removed afterwards.

    Only the model file is fetched: nothing that lies beside it in the registry is run.

    Args:
        model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, the path of a model.keras, or a folder
            that `mlflow artifacts download` wrote.
        with_reference: fetch what its data looked like as well.
        with_sample: fetch some test images with the answers that evaluate measured as well.

    Raises:
        DarkroomError: if there is no such model, or its file is not the one that was registered.
    """
    if not model.startswith("models:"):
        yield _open_folder(Path(model)) if Path(model, MLMODEL).is_file() else _open_file(model)
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
        wanted = {REFERENCE: with_reference, SAMPLE: with_sample}
        with explain_failures():
            kept = {
                name: fetch_evaluation(mlflow, version, name, folder) if is_wanted else None
                for name, is_wanted in wanted.items()
            }
        decisions = _read_decisions(mlflow, model, version, folder)
        yield Source(file, str(version.version), decisions, kept[REFERENCE], kept[SAMPLE])


def _open_file(model: str) -> Source:
    if not Path(model).is_file():
        raise DarkroomError(
            f"--model {model}: no such file; give a model.keras, or models:/NAME@champion for one "
            "of the registry"
        )
    return Source(Path(model))


def _open_folder(folder: Path) -> Source:
    """Return a version as `mlflow artifacts download` leaves it: its file and its limits."""
    from ruamel.yaml import YAML

    read = YAML(typ="safe", pure=True).load
    flavor = read((folder / MLMODEL).read_text("utf-8")).get("flavors", {}).get("python_function")
    file = folder / "artifacts" / MODEL_FILE
    if not flavor or not file.is_file():
        raise DarkroomError(f"--model {folder}: no version that promote registered")
    meta = folder / "registered_model_meta"
    version = read(meta.read_text("utf-8")).get("model_version") if meta.is_file() else None
    limits = folder / "artifacts" / DECISIONS_FILE
    if limits.is_file():
        decisions = read_decisions(limits)
    else:  # of earlier code, which kept a threshold alone
        threshold = (flavor.get("config") or {}).get(EARLIER)
        decisions = Decisions(None if threshold is None else float(threshold))
    return Source(file, None if version is None else str(version), decisions)


def find_version(model: str) -> str | None:
    """Return the version in the registry that a model is at this moment; None for a file.

    Raises:
        DarkroomError: as :func:`open_model`.
    """
    parts = IN_REGISTRY.fullmatch(model)
    if parts is None:
        return None
    mlflow = import_mlflow(create=False)
    with explain_failures():
        return str(_find_version(mlflow, model, **parts.groupdict()).version)


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
            f"models:/{version.name}/{version.version}: {_describe_loss(mlflow, version)}"
        ) from None


def _describe_loss(mlflow: Any, version: Any) -> str:
    """Return why the files of a version are not to be had, as far as MLflow knows."""
    none = f"its artifacts hold no {MODEL_FILE}; predict wants a version that promote registered"
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

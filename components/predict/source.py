"""Find a model file: on disk, or in the registry behind an alias or a version."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components.common.artifacts.model import MODEL_FILE
from components.common.errors import DarkroomError
from components.common.serving.decisions import DECISIONS_FILE, Decisions, read_decisions
from components.common.settings.yaml import load_yaml
from components.common.tracking.evaluations import fetch_evaluation
from components.common.tracking.failures import explain_failures
from components.common.tracking.registered import (
    IN_REGISTRY,
    fetch_model_file,
    find_registered,
)
from components.common.tracking.tags import (
    DECISIONS_DIGEST,
    REFERENCE,
    SAMPLE,
    UNSURE_BELOW,
)

MLMODEL = "MLmodel"  # what makes a folder a model of MLflow
EARLIER = "unsure_below"  # key of the threshold in the configuration of earlier versions


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
    mlflow, version = find_registered(model)
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        file = fetch_model_file(mlflow, version, MODEL_FILE, Path(folder))
        wanted = {REFERENCE: with_reference, SAMPLE: with_sample}
        with explain_failures():
            kept = {
                name: fetch_evaluation(mlflow, version, name, folder) if is_wanted else None
                for name, is_wanted in wanted.items()
            }
        decisions = read_limits(mlflow, model, version, folder)
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
    flavor = (_read(folder / MLMODEL).get("flavors") or {}).get("python_function")
    file = folder / "artifacts" / MODEL_FILE
    if not isinstance(flavor, dict) or not file.is_file():
        raise DarkroomError(f"--model {folder}: no version that promote registered")
    meta = folder / "registered_model_meta"
    version = _read(meta).get("model_version") if meta.is_file() else None
    limits = folder / "artifacts" / DECISIONS_FILE
    if limits.is_file():
        decisions = read_decisions(limits)
    else:  # of earlier code, which kept a threshold alone
        threshold = (flavor.get("config") or {}).get(EARLIER)
        decisions = _take_threshold(threshold, str(folder))
    return Source(file, None if version is None else str(version), decisions)


def find_version(model: str) -> str | None:
    """Return the version in the registry that a model is at this moment; None for a file.

    Raises:
        DarkroomError: as :func:`open_model`.
    """
    return str(find_registered(model)[1].version) if IN_REGISTRY.fullmatch(model) else None


def _read(file: Path) -> dict[str, Any]:
    """Return what a file says that MLflow wrote into a folder."""
    try:
        found = load_yaml(file.read_text("utf-8"))
        if isinstance(found, dict):
            return found
        error: object = "no names and values"
    except (OSError, ValueError) as raised:
        error = raised
    raise DarkroomError(f"{file}: damaged ({error}); download the version again") from None


def _take_threshold(said: Any, model: str) -> Decisions:
    """Return the limits of what early versions kept: a threshold, or nothing."""
    try:
        return Decisions(None if said is None else float(said))
    except (TypeError, ValueError):
        raise DarkroomError(
            f"{model}: its {UNSURE_BELOW} is {said!r}, and should be a number; somebody changed it "
            "in MLflow: promote the model again"
        ) from None


def read_limits(mlflow: Any, model: str, version: Any, folder: str) -> Decisions:
    """Return the limits of a version; early ones keep a threshold, or nothing."""
    below = version.tags.get(UNSURE_BELOW)
    decisions = _take_threshold(below, model)
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

"""What training starts from, where it is on the shelf, a file, or a version of the registry."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from components.common.artifacts.model import MODEL_FILE, read_card
from components.common.files.writing import compute_sha256
from components.train.networks.backbones import IMAGENET_WEIGHTS, MODEL_SUFFIX, is_folder
from components.train.networks.catalogue import CATALOGUE
from components.train.networks.weights.shelf import compute_digest, list_shelf, name_weights
from components.train.spec import SHELF, Params

IN_REGISTRY = "models:"
SHOWN = 8  # names of classes in a sentence


def settle_start(params: Params, shelf: Path = SHELF) -> Params:
    """Return settings with files in the place of names: what was fetched, what an alias means.

    Raises:
        DarkroomError: as :func:`pin_weights` does.
    """
    backbone, weights = params.backbone, pin_weights(params.weights)
    fetched = {one.source: one.folder for one in list_shelf(shelf)}
    if backbone in CATALOGUE:
        if backbone in fetched and weights == IMAGENET_WEIGHTS:
            weights = str(name_weights(fetched[backbone], backbone))
    elif not is_folder(backbone):
        backbone = str(fetched.get(backbone, backbone))
    return replace(params, backbone=backbone, weights=weights)


def pin_weights(weights: str) -> str:
    """Return `train.weights` with the version that an alias of the registry means at this moment.

    The champion may be another one tomorrow; what a run says of itself names the version.

    Raises:
        DarkroomError: if there is no such version, or MLflow does not answer.
    """
    if not weights.startswith(IN_REGISTRY):
        return weights
    from components.common.tracking.registered import find_registered

    _, version = find_registered(weights)
    return f"models:/{version.name}/{version.version}"


def find_weights(weights: str) -> str:
    """Return `train.weights` with the path of a file in the place of a version of the registry.

    Raises:
        DarkroomError: if the file is not to be had, or not the one that was registered.
    """
    if not weights.startswith(IN_REGISTRY):
        return weights
    folder, name = _fetch(weights)
    if not (Path(folder.name) / name).is_file():  # it went with an earlier command of this process
        _fetch.cache_clear()
        folder, name = _fetch(weights)
    return str(Path(folder.name) / name)


@cache
def _fetch(weights: str) -> tuple[tempfile.TemporaryDirectory[str], str]:
    """Fetch the model of a version once; the folder goes when the process ends."""
    from components.common.tracking.registered import fetch_model_file, find_registered

    mlflow, version = find_registered(weights)
    folder = tempfile.TemporaryDirectory(prefix="darkroom-")
    file = fetch_model_file(mlflow, version, MODEL_FILE, Path(folder.name))
    return folder, str(file.relative_to(folder.name))


def describe_since(weights: str, class_names: Sequence[str]) -> str:
    """Return which classes there are that a model knew not, or no more; empty if they are the same.

    Its backbone alone is taken over: the probe makes a head for the classes of today.
    """
    file = Path(find_weights(weights))
    if file.suffix != MODEL_SUFFIX:
        return ""
    before = read_card(file).class_names
    added = [name for name in class_names if name not in before]
    removed = [name for name in before if name not in class_names]
    parts = [
        f"{what} {', '.join(names[:SHOWN])}"
        + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for what, names in (("added", added), ("removed", removed))
        if names
    ]
    return f"; classes since {weights}: {'; '.join(parts)}" if parts else ""


def digest_weights(params: Params) -> dict[str, str]:
    """Return the digest of the weights that training starts from, where they are files of yours."""
    found, file = {}, Path(find_weights(params.weights))
    if is_folder(params.backbone):
        found["backbone"] = compute_digest(Path(params.backbone))
    if file.is_file():
        found["weights"] = compute_sha256(file)
    return found

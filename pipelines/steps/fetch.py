"""Bring the images: as ingest does, from a DVC project, or from an object store."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.common.errors import DarkroomError
from components.common.files.writing import writing_folder
from components.common.images.pixels import find_images
from components.common.images.stores.listing import (
    MODULES,
    fetch_folder,
    list_store,
    place_in,
)
from components.common.settings.addresses import is_address
from components.common.settings.kubeflow import Fetch
from components.common.settings.params import check_params
from components.common.terminal import Stopwatch, say
from components.common.tracking.failures import hide_password
from components.common.tracking.server import find_uri, import_mlflow, is_answering
from components.common.tracking.store import check_store
from pipelines.steps.rooms import (
    leave_kfps_run,
    one_line,
    point_at,
    read_names,
    read_params_of,
    restore_integers,
)
from pipelines.steps.volume import Volume, compute_folder_digest, name_place

GIT_TOKEN = "DARKROOM_GIT_TOKEN"  # noqa: S105 - name of a variable, set from a secret
SETTING = "kubeflow.fetch"


@one_line
def fetch(given: Mapping[str, Any], volume: str) -> str:
    """Fill the artifact `images`, or a folder of the shared volume that it then points to.

    First of all it is seen whether MLflow and its store answer: later tasks need them, some of them
    after hours.

    Args:
        given: `images`, an output artifact; sections `fetch`, `ingest` and `mlflow`.
        volume: where the shared volume is mounted; empty: there is none.

    Returns:
        Where the images are on the volume, and the generation of what is made of them; else empty.
    """
    leave_kfps_run()
    found = {"fetch": restore_integers(given["fetch"])}
    wanted = check_params(Path("parameters of the run"), found, {"fetch": Fetch})["fetch"]
    check_mlflow(read_names(given).experiment)
    if not volume:
        bring(wanted, given, Path(given["images"].path))
        return ""
    shared = Volume(Path(volume))
    shared.check_writable()
    recipe = json.dumps([given["fetch"], given["ingest"]], sort_keys=True)
    name = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder = shared.find_source(name) if is_pinned(given["fetch"], given["ingest"]) else None
    if folder:
        say(f"{folder}: fetched before")
        shared.note_use(folder)
    else:
        placed: list[Path] = []
        with shared.writing_once("images", "", compute_folder_digest, placed) as target:
            bring(wanted, given, target)
        (folder,) = placed
        shared.note_source(name, folder)
    point_at(given["images"], folder)
    return name_place(folder, shared.check_generation(folder.name))


def is_pinned(fetch: Mapping[str, Any], ingest: Mapping[str, Any]) -> bool:
    """Whether the images are the same whenever they are fetched, so that a cache may answer.

    Args:
        fetch: section `kubeflow.fetch`, plain values.
        ingest: section `ingest`.
    """
    if not fetch["source"]:
        # Bundled, or an archive with its sha256; a folder of a store may hold others tomorrow.
        return bool(ingest["sha256"]) or not is_address(str(ingest["source"]))
    revision = str(fetch["revision"])
    return len(revision) == 40 and all(one in "0123456789abcdef" for one in revision)


def check_mlflow(experiment: str) -> None:
    """Raise DarkroomError if the MLflow server, or its store, does not answer within some seconds.

    Args:
        experiment: in which the pipeline will have its run.
    """
    uri = find_uri()
    if not uri.startswith(("http://", "https://")):
        return
    for pause in (0, 2, 5):  # a server that is just being started
        time.sleep(pause)
        if is_answering(uri, seconds=5):
            check_store(import_mlflow(), experiment)
            return
    raise DarkroomError(
        f"MLflow at {hide_password(uri)} does not answer, and train, evaluate and promote need it: "
        "look at its pod and service, and at MLFLOW_TRACKING_URI in kubeflow.secrets; run again"
    )


def bring(wanted: Fetch, given: Mapping[str, Any], target: Path) -> None:
    """Write the folder of images, whole or not at all."""
    watch = Stopwatch()
    if not wanted.source:
        _ingest(given, target)
        return
    name = hide_password(wanted.source)
    with writing_folder(target, "ingest") as folder:
        if urlsplit(wanted.source).scheme in MODULES:
            get_stored(wanted.source, folder)
        else:
            get_dvc(wanted, folder)
        count = len(find_images(folder))
        if not count:
            raise DarkroomError(f"fetch: no image in {name}; check kubeflow.fetch")
    say(f"{count:,} images from {name} ({watch})")


def _ingest(given: Mapping[str, Any], target: Path) -> None:
    spec = importlib.import_module("components.ingest.spec")
    run = importlib.import_module("components.ingest.run").run
    run(spec.Inputs(source=target), spec.Outputs(images=target), read_params_of("ingest", given))


def get_stored(source: str, folder: Path) -> None:
    """Download a folder of a store as it is."""
    found = list_store(source, SETTING)
    if found.is_file:
        raise DarkroomError(
            f"fetch: {source} is one file, and {SETTING} wants a folder of images; an archive is "
            "named in ingest.source"
        )
    fetch_folder(place_in(folder, found.files, SETTING), len(found.files))


def get_dvc(wanted: Fetch, folder: Path) -> None:
    """Copy a folder of a DVC project, as of a revision, from its remote."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    folder.rmdir()  # DVC makes it
    try:
        source = add_token(wanted.source, os.environ.get(GIT_TOKEN, ""))
        Repo.get(source, wanted.path, out=str(folder), rev=wanted.revision or None)
    except (DvcException, SCMError, OSError) as error:
        where = f"{hide_password(wanted.source)} at {wanted.revision or 'its default branch'}"
        reason = str(error).replace(source, hide_password(source))
        raise DarkroomError(
            f"fetch: {wanted.path} of {where} cannot be had ({reason}); check kubeflow.fetch, and "
            "that the project's DVC remote can be reached from here"
        ) from None


def add_token(source: str, token: str) -> str:
    """Return the https address of a repository with a token in it, the others as they are."""
    parts = urlsplit(source)
    if not token or parts.scheme != "https" or "@" in parts.netloc:
        return source
    return parts._replace(netloc=f"x-access-token:{token}@{parts.netloc}").geturl()

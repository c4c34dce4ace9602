"""Bring the images: as ingest does, from a DVC project, or from an object store."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from components.common.errors import DarkroomError
from components.common.files import writing_folder
from components.common.images.pixels import find_images
from components.common.settings.kubeflow import Fetch
from components.common.settings.params import check_params
from components.common.terminal import Stopwatch, say
from components.common.tracking.failures import hide_password
from pipelines.steps.rooms import (
    one_line,
    point_at,
    read_params_of,
    remove,
    restore_integers,
)

GIT_TOKEN = "DARKROOM_GIT_TOKEN"  # noqa: S105 - name of a variable, set from a secret
STREAMS = 16  # downloads at a time: waiting for the network costs no core


@one_line
def fetch(given: Mapping[str, Any], volume: str) -> None:
    """Fill the artifact `images`, or a folder of the shared volume that it then points to.

    Args:
        given: `images`, an output artifact; sections `fetch` and `ingest`.
        volume: where the shared volume is mounted; empty: there is none.
    """
    found = {"fetch": restore_integers(given["fetch"])}
    wanted = check_params(Path("parameters of the run"), found, {"fetch": Fetch})["fetch"]
    target = Path(given["images"].path)
    if not volume:
        bring(wanted, given, target)
        return
    # Named for what is fetched: another run of the same images finds them there.
    recipe = json.dumps([given["fetch"], given["ingest"]], sort_keys=True)
    folder = Path(volume) / "images" / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    bring(wanted, given, folder)
    point_at(given["images"], folder)


def bring(wanted: Fetch, given: Mapping[str, Any], target: Path) -> None:
    """Write the folder of images, whole or not at all."""
    watch = Stopwatch()
    if not wanted.source:
        _ingest(given, target)
        return
    name = hide_password(wanted.source)
    with writing_folder(target) as folder:
        scheme = urlsplit(wanted.source).scheme
        if scheme == "s3":
            download(list_s3(wanted.source), folder)
        elif scheme == "gs":
            download(list_gs(wanted.source), folder)
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


def get_dvc(wanted: Fetch, folder: Path) -> None:
    """Copy a folder of a DVC project, as of a revision, from its remote."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    remove(folder)  # DVC makes it
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


def list_s3(source: str) -> Iterator[tuple[str, Any]]:
    """Yield (path in the folder, function that downloads it) for each object below an address."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(source)
    prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
    client = boto3.client("s3", config=Config(max_pool_connections=STREAMS))
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", []):
                key = entry["Key"]
                if not key.endswith("/"):
                    yield key.removeprefix(prefix), _S3(client, parts.netloc, key)
    except (BotoCoreError, ClientError) as error:
        raise DarkroomError(
            f"fetch: {source} cannot be read ({error}); check kubeflow.fetch and the secret with "
            "AWS_ACCESS_KEY_ID"
        ) from None


class _S3:
    """Downloads one object."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key

    def __call__(self, file: Path) -> None:
        self._client.download_file(self._bucket, self._key, str(file))


def list_gs(source: str) -> Iterator[tuple[str, Any]]:
    """Yield (path in the folder, function that downloads it) for each object below an address."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    parts = urlsplit(source)
    prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
    try:
        for blob in storage.Client().list_blobs(parts.netloc, prefix=prefix):
            if not blob.name.endswith("/"):
                yield blob.name.removeprefix(prefix), blob.download_to_filename
    except (GoogleAPIError, GoogleAuthError) as error:
        raise DarkroomError(
            f"fetch: {source} cannot be read ({error}); check kubeflow.fetch and the secret with "
            "GOOGLE_APPLICATION_CREDENTIALS"
        ) from None


def download(objects: Iterator[tuple[str, Any]], folder: Path) -> None:
    """Download objects into a folder, several at a time."""
    with ThreadPoolExecutor(STREAMS) as pool:
        jobs = []
        for name, get in objects:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise DarkroomError(f"fetch: the object {name} would be written outside its folder")
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            jobs.append((name, pool.submit(get, file)))
        for name, job in jobs:
            try:
                job.result()
            except Exception as error:  # whatever a store's client raises
                pool.shutdown(cancel_futures=True)
                raise DarkroomError(f"fetch: {name} was not downloaded ({error})") from None

"""Objects of Google Cloud Storage, by its own client."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from components.common.errors import DarkroomError
from components.common.images.stores.listing import Entry, Listing, list_keys, split_address
from components.common.images.stores.transfer import (
    ChangedError,
    Piece,
    RefusedError,
    Remote,
    from_base64,
    parse_digest,
)

CHUNK = 8 << 20  # bytes a request: times the downloads at a time it is memory


def list_files(source: str, setting: str) -> Listing:
    """Return the object that an address gs://bucket/name names, or those below it."""
    bucket, name = split_address(source)
    with _explain(source, setting):
        client = _connect()
        if name and not name.endswith("/"):
            blob = client.bucket(bucket).get_blob(name)
            if blob is not None:
                return Listing([_describe(blob, name.rpartition("/")[2])], is_file=True)
        prefix = name.strip("/") + "/" if name.strip("/") else ""
        files = [
            _describe(blob, blob.name.removeprefix(prefix))
            for blob in client.list_blobs(bucket, prefix=prefix)
            if not blob.name.endswith("/")
        ]
    return Listing(files, is_file=False)


def open_entries(source: str, entries: Iterable[Entry]) -> list[Remote]:
    """Return the objects of a listing, each as it was when it was listed and no other."""
    client = _connect_once(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", ""))
    bucket, found = split_address(source)[0], []
    for entry, name in list_keys(source, entries):
        kind, value = parse_digest(entry.digest)
        blob = client.bucket(bucket).blob(name, generation=value if kind == "generation" else None)
        digest = (kind, value) if kind != "generation" else ("", "")
        found.append(_describe(blob, entry.path, entry.bytes, digest))
    return found


@functools.cache
def _connect_once(process: int, endpoint: str) -> Any:
    return _connect()


def _connect() -> Any:
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud import storage

    try:
        return storage.Client()
    except (DefaultCredentialsError, OSError):  # without a project it raises OSError
        return storage.Client.create_anonymous_client()  # a public bucket wants no login


@contextmanager
def _explain(source: str, setting: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as error:
        raise DarkroomError(
            f"{setting}: {source} cannot be read ({error}); check {setting}, and that "
            "GOOGLE_APPLICATION_CREDENTIALS names the key of an account that may read it"
        ) from None


def _describe(
    blob: Any, path: str, size: int | None = None, digest: tuple[str, str] | None = None
) -> Remote:
    """Return an object.

    Args:
        blob: as the store lists it; or, with the others, its name and perhaps its generation.
        path: in the folder that was listed.
        size: bytes of an object that was listed before.
        digest: of it.
    """
    from google.api_core.exceptions import ClientError, NotFound, TooManyRequests

    generation = str(blob.generation or "")
    if digest is None:
        # Where the bytes are stored packed (Content-Encoding), this is the digest of the packed
        # ones, and those are what raw_download brings.
        told = from_base64(blob.md5_hash)
        digest = ("md5", told) if told else ("", "")
    size = int(blob.size or 0) if size is None else size
    written = blob.updated.timestamp() if blob.updated else 0.0

    def open_it(start: int, mark: str) -> Piece:
        if start and mark != generation:
            raise ChangedError
        reader = blob.open("rb", chunk_size=CHUNK, raw_download=True)
        if start:
            reader.seek(start)
        return Piece(_Known(reader, size - start), start, size, generation)

    class _Known:
        """Asks for no byte behind the last: that would be one more request a file."""

        def __init__(self, reader: Any, left: int) -> None:
            self._reader, self._left = reader, left

        def read(self, count: int) -> bytes:
            if not self._left:
                return b""
            try:
                data = bytes(self._reader.read(min(count, self._left)))
            except TooManyRequests:
                raise
            except NotFound as error:
                raise RefusedError(f"is not there any more ({error})") from None
            except ClientError as error:
                raise RefusedError(f"cannot be read ({error})") from None
            self._left -= len(data)
            return data

        def close(self) -> None:
            self._reader.close()

    where = f"gs://{blob.bucket.name}/{blob.name}"
    mark = "" if digest[1] else generation
    return Remote(path, where, open_it, size, digest, mark=mark, changed=written)

"""Objects of S3-style stores, by boto3."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from components.common.errors import DarkroomError
from components.common.images.stores.listing import (
    STREAMS,
    Entry,
    Listing,
    list_keys,
    split_address,
)
from components.common.images.stores.transfer import (
    REPLACED,
    ChangedError,
    Piece,
    RefusedError,
    Remote,
    parse_digest,
)

TIMEOUT_SECONDS = 60  # without a byte from the store
HOPELESS = {
    *("NoSuchKey", "NoSuchBucket", "AccessDenied", "403", "404", "InvalidObjectState"),
    *("ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
}
# What an ETag is, unless parts or keys of one's own made it.
MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def list_files(source: str, setting: str) -> Listing:
    """Return the object that an address s3://bucket/key names, or those below it."""
    bucket, key = split_address(source)
    client = _connect()
    with _explain(source, setting):
        if key and not key.endswith("/"):
            # In order of their names none stands before the key itself.
            first = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
            if first and first[0]["Key"] == key:
                path = key.rpartition("/")[2]
                return Listing([_describe(client, bucket, first[0], path)], is_file=True)
        prefix = key.strip("/") + "/" if key.strip("/") else ""
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        files = [
            _describe(client, bucket, entry, entry["Key"].removeprefix(prefix))
            for page in pages
            for entry in page.get("Contents", [])
            if not entry["Key"].endswith("/")
        ]
    return Listing(files, is_file=False)


def open_entries(source: str, entries: Iterable[Entry]) -> list[Remote]:
    """Return the objects of a listing, each as it was when it was listed and no other."""
    bucket = split_address(source)[0]
    # A process has one client, whose connections stay open; a fork must not go on with them.
    client = _connect_once(os.getpid(), os.environ.get("AWS_ENDPOINT_URL", ""))
    found = []
    for entry, key in list_keys(source, entries):
        kind, value = parse_digest(entry.digest)
        listed = {"Key": key, "ETag": value if kind == "etag" else "", "Size": entry.bytes}
        digest = ("", "") if kind == "etag" else (kind, value)
        found.append(_describe(client, bucket, listed, entry.path, digest))
    return found


@functools.cache
def _connect_once(process: int, endpoint: str) -> Any:
    return _connect()


def _connect() -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.session.Session()
    options: dict[str, Any] = {
        "max_pool_connections": STREAMS,
        "connect_timeout": TIMEOUT_SECONDS,
        "read_timeout": TIMEOUT_SECONDS,
        "retries": {"mode": "standard", "max_attempts": 3},
    }
    if session.get_credentials() is None:  # a public bucket wants none, and refuses none
        options["signature_version"] = UNSIGNED
    return session.client("s3", config=Config(**options))


@contextmanager
def _explain(source: str, setting: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:
        raise DarkroomError(
            f"{setting}: {source} cannot be read ({error}); check {setting}, and that "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, are in the environment"
        ) from None


def _describe(
    client: Any,
    bucket: str,
    entry: dict[str, Any],
    path: str,
    digest: tuple[str, str] | None = None,
) -> Remote:
    """Return an object.

    Args:
        client: of the store.
        bucket: its bucket.
        entry: Key, ETag and Size, as the store lists them, and perhaps LastModified.
        path: in the folder that was listed.
        digest: of an object that was listed before: no other version of it is taken.
    """
    from botocore.exceptions import ClientError

    key, tag, size = entry["Key"], entry["ETag"], entry["Size"]
    is_pinned = digest is not None and bool(tag)

    def open_it(start: int, mark: str) -> Piece:
        if start and start == size and mark == tag:
            return Piece(_Body(None), start, size, mark)
        wanted: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if start:
            wanted |= {"Range": f"bytes={start}-", "IfMatch": mark}
        if is_pinned:
            wanted["IfMatch"] = tag
        try:
            answer = client.get_object(**wanted)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in ("PreconditionFailed", "412", "InvalidRange", "416"):
                if is_pinned:
                    raise RefusedError(REPLACED) from None
                raise ChangedError from None
            if code in HOPELESS:
                raise RefusedError(f"cannot be read ({error})") from None
            raise
        length, now = int(answer["ContentLength"]), str(answer["ETag"])
        if digest is not None and not start and size is not None and length != size:
            raise RefusedError(REPLACED)
        # Of objects that keys of one's own encrypt the ETag is 32 letters too, and no md5.
        is_md5 = answer.get("ServerSideEncryption") in (None, "AES256")
        is_md5 = is_md5 and not answer.get("SSECustomerAlgorithm")
        plain = MD5.fullmatch(now) if is_md5 else None
        said = ("md5", plain[1]) if plain else ("", "")
        return Piece(_Body(answer["Body"]), start, start + length, now, said)

    written = entry["LastModified"].timestamp() if "LastModified" in entry else 0.0
    where = f"s3://{bucket}/{key}"
    return Remote(path, where, open_it, size, digest or ("", ""), mark=tag, changed=written)


class _Body:
    """The content of an object; none where all of it is here."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, count: int) -> bytes:
        return bytes(self._body.read(count)) if self._body else b""

    def close(self) -> None:
        if self._body:
            self._body.close()

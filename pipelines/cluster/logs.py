"""The last words of a task: KFP keeps its log as an artifact, Kubernetes as long as its pod."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import zlib
from typing import Any

from pipelines.cluster.connection import Connection
from pipelines.cluster.kube import Kubernetes

LOG = "main-logs"  # Argo's name for the log that it archives
MOST_LINES, MOST_BYTES = 400, 2_000_000  # the end of a log is all that is wanted
MOST_UNPACKED = 512_000_000
# Lines of KFP's launcher and of Argo's executor around those of the task.
_FOREIGN = re.compile(
    r'^([IWEF]\d{4} \d\d:\d\d:\d\d|time="|\{"level"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d '
    r"|(Error: )?exit status \d+$)"
)

# Colours, and what moves the cursor: in a message they would redraw the reader's terminal.
_UNSEEN = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x1f\x7f-\x9f]"
)


def read_last_line(
    connection: Connection, run_id: str, node_id: str, kubernetes: Kubernetes | None
) -> str:
    """Return the line that says why a task failed; empty if no log can be read.

    That is its last line beginning with ``error:``, which is how our tasks end, or else its last
    line at all.
    """
    for text in (
        _read_archived(connection, run_id, node_id),
        kubernetes.read_log(run_id, node_id, MOST_LINES) if kubernetes else "",
    ):
        if line := find_last_line(text):
            return line
    return ""


def find_last_line(text: str) -> str:
    """Return the last line of a log that tells something, without what KFP wrote around it."""
    text = text.replace("\t", " ")
    lines = [_UNSEEN.sub("", line).strip() for line in text.splitlines()[-MOST_LINES:]]
    own = [line for line in lines if line and not _FOREIGN.match(line)]
    errors = [line for line in own if line.startswith("error:")]
    return (errors or own or [""])[-1][:1000]


def _read_archived(connection: Connection, run_id: str, node_id: str) -> str:
    """Return the log that Argo archived, by KFP's call for artifacts of a node."""
    api = connection.client._run_api.api_client
    path = f"/apis/v2beta1/runs/{run_id}/nodes/{node_id}/artifacts/{LOG}:read"
    try:
        found = api.call_api(
            path,
            "GET",
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )
        return unpack(base64.b64decode(found["data"]))
    except Exception:  # a log is a help, and its lack no second failure; KFP has several refusals
        return ""


def unpack(data: bytes) -> str:
    """Return the text of an archived log: as it is, or in a tar with gzip, as Argo may write it."""
    try:
        if data[:2] == b"\x1f\x8b":
            data = _unzip(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            files: list[Any] = [tar.extractfile(one) for one in tar if one.isfile()]
            data = b"".join(one.read() for one in files)
    except (tarfile.TarError, OSError, EOFError):
        pass
    return data[-MOST_BYTES:].decode("utf-8", "replace")


def _unzip(data: bytes) -> bytes:
    """Return what can be unpacked: an archive may break off, and unpacked be of any size."""
    reader = zlib.decompressobj(wbits=31)
    try:
        return reader.decompress(data, MOST_UNPACKED)
    except zlib.error:
        return b""

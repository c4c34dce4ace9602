"""Get an archive, from this machine or by http(s), and make sure it is the one that was meant."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.files import compute_sha256
from components.common.terminal import bar

TIMEOUT_SECONDS = 60  # without a byte from the server
CHUNK = 1 << 20


@contextmanager
def fetch_archive(source: str, sha256: str, download: Path) -> Iterator[Path]:
    """Yield an archive as a local file whose digest is as expected.

    Args:
        source: path or http(s) address.
        sha256: expected digest of the file, hex.
        download: where a download goes; it is removed afterwards, whatever happens.

    Raises:
        DarkroomError: if there is no such archive, or no digest for it, or it has another one.
    """
    if not source.startswith(("http://", "https://")):
        file = Path(source).expanduser()
        if not file.is_file():
            raise DarkroomError(
                f"ingest.source: no file {source}; legal are digits, the path of a tar or zip "
                "archive, or an http(s) address. A folder of images is named in data.source instead"
            )
        _check_digest(file, source, sha256)
        yield file
        return
    name = hide_secrets(source)
    if not sha256:
        raise DarkroomError(
            f"ingest.sha256 is empty: set it to the sha256 that the publisher of {name} gives"
        )
    try:
        _download(source, download, name)
        _check_digest(download, name, sha256)
        yield download
    finally:
        download.unlink(missing_ok=True)


def hide_secrets(source: str) -> str:
    """Return a path as it is, an address without password and query, which may hold a token."""
    if not source.startswith(("http://", "https://")):
        return source
    try:
        parts = urllib.parse.urlsplit(source)
    except ValueError:
        return source.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_digest(file: Path, name: str, expected: str) -> None:
    found = compute_sha256(file)
    if not expected:
        raise DarkroomError(f"ingest.sha256 is empty: if you trust {name}, set it to {found}")
    if found != expected.strip().lower():
        raise DarkroomError(
            f"{name}: its sha256 is {found}, but ingest.sha256 is {expected}; this is another "
            "archive than was meant: get the right one, or set ingest.sha256 if you trust this one"
        )


def _download(address: str, target: Path, name: str) -> None:
    """Stream an address to a file; raise DarkroomError if it does not arrive whole."""
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "darkroom"})  # noqa: S310
        # The scheme was checked: http or https, and urllib follows redirects to no local file.
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            size = int(answer.headers.get("Content-Length") or 0) or None
            with target.open("wb") as out, bar("download", "MB", None) as progress:
                progress.total = size and round(size / 1e6, 1)
                while chunk := answer.read(CHUNK):
                    out.write(chunk)
                    progress.update(round(len(chunk) / 1e6, 3))
        got = target.stat().st_size
        if size is not None and got != size:
            raise OSError(f"the connection broke after {got:,} of {size:,} bytes")
    except urllib.error.HTTPError as error:
        raise DarkroomError(
            f"{name}: the server answered {error.code} {error.reason}; check ingest.source"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise DarkroomError(
            f"{name}: download failed ({reason}); check the address, then try again"
        ) from None

"""Open tar, zip and 7z archives: which one a file is."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.ingest.archives.members import Archive, inflate
from components.ingest.archives.tars import is_tar, open_tar
from components.ingest.archives.zips import open_zip
from components.ingest.contents import BY_HAND, describe_content

ZSTD, SEVEN_ZIP = b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"


@contextmanager
def open_archive(archive: Path, name: str) -> Iterator[Archive]:
    """Open an archive, whatever it is called.

    Args:
        archive: the file.
        name: what the user calls it, for messages.

    Raises:
        DarkroomError: if it is none, or of a kind that cannot be read here.
    """
    with archive.open("rb") as file:
        head = file.read(512)
    if head.startswith(SEVEN_ZIP):
        from components.ingest.archives.seven_zip import open_seven_zip

        with open_seven_zip(archive, name) as found:
            yield found
    elif head.startswith(ZSTD):
        with _open_zstd(archive, name) as stream, open_tar(stream, name) as found:
            yield found
    elif is_tar(archive, head):
        with inflate(archive, head) as stream, open_tar(stream, name) as found:
            yield found
    elif zipfile.is_zipfile(archive):
        with open_zip(archive, name) as found:
            yield found
    else:
        raise DarkroomError(f"{name}: not a tar or zip archive, {describe_content(archive, head)}")


@contextmanager
def _open_zstd(archive: Path, name: str) -> Iterator[Any]:
    try:
        from backports import zstd
    except ImportError:
        raise DarkroomError(
            f"{name}: packed with Zstandard (.zst), read by backports.zstd: python -m pip install "
            f"'backports.zstd>=1.8', or {BY_HAND}"
        ) from None
    try:
        with zstd.ZstdFile(archive) as stream:
            yield stream
    except zstd.ZstdError as error:
        raise tarfile.ReadError(str(error)) from None

"""What lies behind an address: one file, or a folder of them; and how a folder is brought."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from components.common.errors import DarkroomError
from components.common.images.stores.transfer import Remote, fetch_file
from components.common.settings.addresses import hide_secrets
from components.common.terminal import bar

STREAMS = 16  # downloads at a time: waiting for the network costs no core
# Scheme → the module that lists it, and what brings its client where that is missing.
MODULES = {
    "s3": ("s3", "boto3", "python -m pip install 'boto3>=1.40'"),
    "gs": ("gs", "google-cloud-storage", "pip install google-cloud-storage"),
    "hf": ("hf", "", ""),
}
FOLDER = {"file": ("folder", "", "")}  # of a listing alone: nobody names a source so


# What a store calls the version of a file that it has no digest of.
VERSIONS = {"s3": "etag", "gs": "generation", "hf": "git"}


@dataclass(frozen=True)
class Entry:
    """A file of a store as it was when it was listed."""

    path: str  # in the folder that was listed
    key: str  # where it is below the listing's source: the path, or a name made of its digest
    bytes: int | None  # None: the store does not say
    digest: str  # md5:…, sha256:…; or what names a version, as in VERSIONS; or empty


# Kinds of digests that name bytes, wherever they lie; the ETag of a plain object is an md5.
OF_BYTES = re.compile(r'(?:md5|sha256|git):.+|etag:"?[0-9a-f]{32}"?')

File = TypeVar("File", Remote, Entry)


@dataclass(frozen=True)
class Listing:
    """What an address of a store names."""

    files: list[Remote]
    is_file: bool  # the address names this one file; else it is a folder
    note: str = ""  # what a person should know, such as the commit that a branch stands for
    source: str = ""  # the address that means the same files tomorrow; empty: as it was given


def list_store(source: str, setting: str) -> Listing:
    """Return what lies behind an s3://, gs:// or hf:// address.

    Args:
        source: the address.
        setting: what it was given in, for messages.

    Raises:
        DarkroomError: if nothing is there, or it may not be read, or a client is not installed.
    """
    found = _call(source, setting, "list_files", source, setting)
    if not found.files:
        name = hide_secrets(source)
        raise DarkroomError(f"{setting}: no image in {name}, nor anything else; check the address")
    files = _leave_out_markers(found.files)
    return Listing(files, found.is_file, found.note, found.source or source)


def _leave_out_markers(files: Sequence[Remote]) -> list[Remote]:
    """Return the files without the empty objects that stand for a folder, as some clients make."""
    folders = {str(folder) for remote in files for folder in PurePosixPath(remote.path).parents}
    return [remote for remote in files if remote.bytes != 0 or remote.path not in folders]


def split_address(source: str) -> tuple[str, str]:
    """Return the bucket of an address, and the name of an object in it, or what begins names."""
    rest = source.partition("://")[2]
    return rest.partition("/")[0], rest.partition("/")[2]


def list_keys(source: str, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield each entry of a listing with the name of its object in the bucket."""
    prefix = split_address(source)[1].strip("/")
    for entry in entries:
        yield entry, f"{prefix}/{entry.key}" if prefix else entry.key


def describe_file(source: str, remote: Remote) -> Entry:
    """Return what a listing has of a file."""
    kind, value = remote.digest
    if not value:
        kind, value = VERSIONS[urlsplit(source).scheme.lower()], remote.mark
    return Entry(remote.path, remote.path, remote.bytes, f"{kind}:{value}" if value else "")


def name_content(source: str, entry: Entry) -> str:
    """Return a name of the bytes of a listed file: other bytes have another; empty: none is told.

    Args:
        source: the address that was listed.
        entry: of the listing.
    """
    if not entry.digest:
        return ""
    name = f"{entry.digest} {entry.bytes}"
    # Any other digest names a version of this one object.
    return name if OF_BYTES.fullmatch(entry.digest) else f"{name} {source}/{entry.key}"


def open_entries(source: str, entries: Iterable[Entry], setting: str) -> list[Remote]:
    """Return files of a listing, each as it was when it was listed; the store is not asked yet.

    Args:
        source: the address that was listed.
        entries: of the listing.
        setting: what the address was given in, for messages.
    """
    opened: list[Remote] = _call(source, setting, "open_entries", source, entries)
    return opened


def _call(source: str, setting: str, function: str, *arguments: Any) -> Any:
    """Call a function of the module that an address is read by."""
    module, client, install = (MODULES | FOLDER)[urlsplit(source).scheme.lower()]
    try:
        room = importlib.import_module(f"components.common.images.stores.{module}")
        return getattr(room, function)(*arguments)
    except ImportError as error:
        name = hide_secrets(source)
        raise DarkroomError(
            f"{setting}: {name} is read by {client}, which is not here ({error}); {install}"
        ) from None


def fetch_folder(pairs: Iterable[tuple[Remote, Path]], total: int | None = None) -> None:
    """Do what :func:`fetch_files` does, with a bar."""
    with bar("download", "files", total) as progress:
        fetch_files(pairs, progress.update)


def fetch_files(
    pairs: Iterable[tuple[Remote, Path]], advance: Callable[[], Any] = lambda: None
) -> None:
    """Download files to their places, several at a time; the first that fails ends all."""
    with ThreadPoolExecutor(STREAMS) as pool:
        jobs = []
        for remote, file in pairs:
            file.parent.mkdir(parents=True, exist_ok=True)
            jobs.append(pool.submit(fetch_file, remote, file))
        try:
            for job in jobs:
                job.result()
                advance()
        except BaseException:  # Ctrl-C too: or the pool would first fetch all that is waiting
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def place_in(folder: Path, files: Iterable[File], setting: str) -> list[tuple[File, Path]]:
    """Return where each file goes that keeps its path.

    Raises:
        DarkroomError: if one would leave the folder, or two would be one file: a//b.png and a/b.png
            are two objects of a store.
    """
    placed: dict[PurePosixPath, File] = {}
    for remote in files:
        path = PurePosixPath(remote.path)
        if path.is_absolute() or ".." in path.parts:
            raise DarkroomError(
                f"{setting}: the object {remote.path} would be written outside its folder"
            )
        if path in placed:
            raise DarkroomError(
                f"{setting}: the objects {placed[path].path} and {remote.path} would be written "
                "as one file; rename or remove one of them"
            )
        placed[path] = remote
    for path, remote in placed.items():
        if inside := next((one for one in path.parents if one in placed), None):
            raise DarkroomError(
                f"{setting}: the object {placed[inside].path} has the name of the folder that "
                f"{remote.path} is in; rename or remove it"
            )
    return [(remote, folder / path) for path, remote in placed.items()]

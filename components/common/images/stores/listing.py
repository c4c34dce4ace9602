"""What lies behind an address: one file, or a folder of them; and how a folder is brought."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
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


@dataclass(frozen=True)
class Listing:
    """What an address of a store names."""

    files: list[Remote]
    is_file: bool  # the address names this one file; else it is a folder
    note: str = ""  # what a person should know, such as the commit that a branch stands for


def list_store(source: str, setting: str) -> Listing:
    """Return what lies behind an s3://, gs:// or hf:// address.

    Args:
        source: the address.
        setting: what it was given in, for messages.

    Raises:
        DarkroomError: if nothing is there, or it may not be read, or a client is not installed.
    """
    module, client, install = MODULES[urlsplit(source).scheme.lower()]
    name = hide_secrets(source)
    try:
        found = importlib.import_module(f"components.common.images.stores.{module}").list_files(
            source, setting
        )
    except ImportError as error:
        raise DarkroomError(
            f"{setting}: {name} is read by {client}, which is not here ({error}); {install}"
        ) from None
    if not found.files:
        raise DarkroomError(f"{setting}: no image in {name}, nor anything else; check the address")
    return Listing(found.files, found.is_file, found.note)


def fetch_folder(pairs: Iterable[tuple[Remote, Path]], total: int | None = None) -> None:
    """Download files to their places, several at a time; the first that fails ends all."""
    with ThreadPoolExecutor(STREAMS) as pool, bar("download", "files", total) as progress:
        jobs = []
        for remote, file in pairs:
            file.parent.mkdir(parents=True, exist_ok=True)
            jobs.append(pool.submit(fetch_file, remote, file))
        try:
            for job in jobs:
                job.result()
                progress.update()
        except BaseException:  # Ctrl-C too: or the pool would first fetch all that is waiting
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def place_in(folder: Path, files: Iterable[Remote], setting: str) -> list[tuple[Remote, Path]]:
    """Return where each file goes that keeps its path; refuse one that would leave the folder."""
    pairs = []
    for remote in files:
        path = PurePosixPath(remote.path)
        if path.is_absolute() or ".." in path.parts:
            raise DarkroomError(
                f"{setting}: the object {remote.path} would be written outside its folder"
            )
        pairs.append((remote, folder / path))
    return pairs

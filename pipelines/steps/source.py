"""What a source of images holds now: a folder of a store, or a revision of a DVC project."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from components.common.errors import DarkroomError
from components.common.images.listing import compute_digest
from components.common.images.stores.listing import (
    MODULES,
    Entry,
    describe_file,
    fetch_files,
    list_store,
    open_entries,
    place_in,
)
from components.common.settings.kubeflow import Fetch
from components.common.terminal import count_of, say
from components.common.tracking.failures import hide_password

GIT_TOKEN = "DARKROOM_GIT_TOKEN"  # noqa: S105 - name of a variable, set from a secret
SETTING = "kubeflow.fetch"
ENDPOINT = "AWS_ENDPOINT_URL"
CHECK = "check kubeflow.fetch, and that the project's DVC remote can be reached from here"
MOST_MOMENTS = 100  # at which files may have come since the source was looked at, a minute before
# Keys of a DVC remote that change nothing of what is read, or only how DVC does it.
HARMLESS = {
    *("url", "jobs", "verify", "read_timeout", "connect_timeout", "checksum_jobs", "region"),
    *("protected", "slow_link_warning", "use_ssl", "listobjects"),
}


@dataclass(frozen=True)
class Source:
    """What a source holds."""

    digest: str  # changes with the images, and with nothing else
    address: str  # below which the entries are; empty: DVC alone can copy them
    entries: Sequence[Entry] = ()
    written: Sequence[float] = ()  # when each entry was written last, seconds; 0: not known
    count: int = 0
    bytes: int = 0
    note: str = ""  # why there are no entries

    def trim(self, digest: str) -> Source | None:
        """Return the source as it was when it had a digest: without what was added since.

        None: something was replaced or removed.
        """
        if self.digest == digest:
            return self
        for moment in sorted(set(self.written), reverse=True)[:MOST_MOMENTS]:
            pairs = zip(self.entries, self.written, strict=True)
            old = [entry for entry, written in pairs if written < moment]
            if compute_digest(old) == digest:
                more = len(self.entries) - len(old)
                say(f"{count_of(more, 'file')} came since the source was looked at")
                return replace(self, digest=digest, entries=old, written=())
        return None


def look(wanted: Fetch) -> Source:
    """Ask a source what it holds.

    Raises:
        DarkroomError: if it cannot be read, or holds nothing.
    """
    if urlsplit(wanted.source).scheme.lower() in MODULES:
        return _look_into_store(wanted.source)
    return _look_into_project(wanted)


def _look_into_store(source: str) -> Source:
    found = list_store(source, SETTING)
    if found.is_file:
        raise DarkroomError(
            f"fetch: {source} is one file, and {SETTING} wants a folder of images; an archive is "
            "named in ingest.source"
        )
    entries = [describe_file(source, remote) for remote in found.files]
    return _create(found.source, entries, [remote.changed for remote in found.files])


def _create(address: str, entries: Sequence[Entry], written: Sequence[float] = ()) -> Source:
    place_in(Path(), entries, SETTING)  # refuses what would leave its folder
    size = sum(entry.bytes or 0 for entry in entries)
    return Source(compute_digest(entries), address, entries, written, len(entries), size)


def _look_into_project(wanted: Fetch) -> Source:
    """Find the folder of a DVC project, and what its remote holds of it: nothing is copied yet."""
    from dvc.exceptions import OutputNotFoundError

    with explaining(wanted) as source, _open(source, wanted) as repo:
        path = repo.fs.join(repo.root_dir, *wanted.path.strip("/").split("/"))
        try:
            found = repo.find_outs_by_path(path, strict=False)[0]
        except OutputNotFoundError:  # folders that DVC has added one by one, or that git holds
            return Source(repo.get_rev(), "", note=f"{wanted.path} is not one folder of DVC's")
        name = found.remote or repo.config["core"].get("remote") or ""
        settings = dict(repo.config["remote"].get(name) or {})
        inner = "" if path == found.fs_path else repo.fs.relpath(path, found.fs_path)
        told = found.hash_info
        size, count = found.meta.size or 0, found.meta.nfiles or 0
    digest = f"{told.value}/{inner}" if inner else str(told.value)
    address, why = find_address(settings, str(told.name))
    if not address or not str(told.value).endswith(".dir"):
        return Source(digest, "", count=count, bytes=size, note=why or "it is one file")
    entries = [
        Entry(row["relpath"], _name_object(row["md5"]), None, f"md5:{row['md5']}")
        for row in _read_folder(address, str(told.value))
    ]
    if inner:
        entries = [
            replace(entry, path=entry.path.removeprefix(f"{inner}/"))
            for entry in entries
            if entry.path.startswith(f"{inner}/")
        ]
    return replace(_create(address, entries), bytes=size)


def copy_project(wanted: Fetch, folder: Path) -> None:
    """Let DVC copy a folder of a project, as of a revision, from wherever it lies."""
    with explaining(wanted) as source:
        from dvc.repo import Repo

        Repo.get(source, wanted.path, out=str(folder), rev=wanted.revision or None)


def _open(source: str, wanted: Fetch) -> Any:
    from dvc.repo import Repo

    return Repo.open(source, rev=wanted.revision or None, subrepos=True, uninitialized=True)


@contextmanager
def explaining(wanted: Fetch) -> Iterator[str]:
    """Yield the address of a DVC project; what it does not have is told in one line."""
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    source = add_token(wanted.source, os.environ.get(GIT_TOKEN, ""))
    try:
        yield source
    except (DvcException, SCMError, OSError) as error:
        where = f"{hide_password(wanted.source)} at {wanted.revision or 'its default branch'}"
        reason = str(error).replace(source, hide_password(source))
        raise DarkroomError(
            f"fetch: {wanted.path} of {where} cannot be had ({reason}); {CHECK}"
        ) from None


def find_address(settings: Mapping[str, Any], hash_name: str) -> tuple[str, str]:
    """Return below which address a DVC remote has its files; or none, and why.

    Args:
        settings: of the remote, as in .dvc/config.
        hash_name: of the folder: `md5`, or `md5-dos2unix` where DVC 2 added it.
    """
    url = str(settings.get("url") or "")
    scheme = urlsplit(url).scheme.lower()
    if not url:
        return "", "the project names no remote of DVC's"
    if scheme not in ("", "file", "s3", "gs"):
        return "", f"a remote of {scheme}:// is read by DVC alone"
    others = sorted({key for key, value in settings.items() if value} - HARMLESS - {"endpointurl"})
    if others:
        return "", f"its remote has settings that DVC alone knows to use ({', '.join(others)})"
    endpoint = str(settings.get("endpointurl") or "").rstrip("/")
    if endpoint and scheme == "s3" and os.environ.get(ENDPOINT, "").rstrip("/") != endpoint:
        return "", f"its remote is at {endpoint}: set {ENDPOINT} to that, for all tasks"
    if scheme in ("", "file"):
        place = Path(urlsplit(url).path)
        if not place.is_absolute():
            return "", "its remote is a folder beside the project"
        url = f"file://{quote(str(place))}"
    return url.rstrip("/") + ("" if hash_name.endswith("dos2unix") else "/files/md5"), ""


def _name_object(md5: str) -> str:
    return f"{md5[:2]}/{md5[2:]}"


def _read_folder(address: str, digest: str) -> list[dict[str, str]]:
    """Return what DVC's file of a folder lists: path and md5 of each file."""
    entry = Entry("folder.json", _name_object(digest), None, f"md5:{digest.removesuffix('.dir')}")
    with tempfile.TemporaryDirectory(prefix="darkroom-") as name:
        folder = Path(name)
        fetch_files(place_in(folder, open_entries(address, [entry], SETTING), SETTING))
        rows: list[dict[str, str]] = json.loads((folder / "folder.json").read_bytes())
    return rows


def add_token(source: str, token: str) -> str:
    """Return the https address of a repository with a token in it, the others as they are."""
    parts = urlsplit(source)
    if not token or parts.scheme != "https" or "@" in parts.netloc:
        return source
    return parts._replace(netloc=f"x-access-token:{token}@{parts.netloc}").geturl()

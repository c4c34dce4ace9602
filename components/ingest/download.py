"""Get an archive or a folder, from this machine or afar, and see that it is what was meant."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256, writing
from components.common.images.stores.listing import Listing, fetch_folder, list_store
from components.common.images.stores.transfer import Remote, fetch_file
from components.common.images.stores.web import find_web_file
from components.common.settings.addresses import hide_secrets, is_address
from components.common.terminal import bar, say
from components.ingest.archives.unpacking import describe_lack, say_guesses, unpack
from components.ingest.contents import has_images, is_page
from components.ingest.placing import ARCHIVES, BESIDE, plan_targets

SETTING = "ingest.source"
TIMEOUT_SECONDS = 60.0  # without a byte from the server


def bring(source: str, sha256: str, folder: Path, beside: Path) -> None:
    """Fill an empty folder with the images of a source.

    Args:
        source: path or address of an archive, or address of a folder in a store.
        sha256: expected digest of the archive, hex.
        folder: where the images go.
        beside: the folder in which an unfinished download waits for the next run.

    Raises:
        DarkroomError: if there is no such source, no digest of an archive, or another, or no image.
    """
    name = hide_secrets(source)
    if not is_address(source):
        file = find_local(source)
        check_digest(file, source, sha256)
        unpack(file, folder, source)
        return
    if source.lower().startswith("http"):
        remote = find_web_file(source, TIMEOUT_SECONDS)
    else:
        listing = list_store(source, SETTING)
        if listing.note:
            say(f"{name}: {listing.note}")
        if not listing.is_file:
            _bring_folder(listing, sha256, folder, name)
            return
        remote = listing.files[0]
    if not sha256:
        told = remote.digest[1] if remote.digest[0] == "sha256" else ""
        raise DarkroomError(
            f"ingest.sha256 is empty: if you trust {name}, set it to {told}"
            if told
            else f"ingest.sha256 is empty: set it to the sha256 that the publisher of {name} gives"
        )
    with _download(remote, source, beside) as archive:
        if compute_sha256(archive) != sha256.strip().lower():
            refuse_page(archive, name)
        check_digest(archive, name, sha256)
        unpack(archive, folder, name)


def check_digest(file: Path, name: str, expected: str) -> None:
    """Raise DarkroomError if a file has another sha256 than was said, or none was said."""
    found = compute_sha256(file)
    if not expected:
        raise DarkroomError(f"ingest.sha256 is empty: if you trust {name}, set it to {found}")
    if found != expected.strip().lower():
        raise DarkroomError(
            f"{name}: its sha256 is {found}, but ingest.sha256 is {expected}; this is another "
            "archive than was meant: get the right one, or set ingest.sha256 if you trust this one"
        )


def find_local(source: str) -> Path:
    """Return the file of this machine that a source names; raise DarkroomError if there is none."""
    path = source
    if source.lower().startswith("file://"):
        path = urllib.request.url2pathname(urllib.parse.urlsplit(source).path)
    file = Path(path).expanduser()
    if not file.is_file():
        raise DarkroomError(
            f"{SETTING}: no file {source}; legal are digits, the path of a tar or zip archive, an "
            "http(s) address of one, or s3://, gs:// and hf:// of one or of a folder. A folder of "
            "images on this machine is named in data.source instead"
        )
    return file


def keep(remote: Remote, source: str, folder: Path) -> Path:
    """Download an archive into a folder and return the file; it stays there, under its own name."""
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(source).path)).name
    target = folder / (name or "archive")
    with writing(target) as temporary, _download(remote, source, folder) as file:
        refuse_page(file, hide_secrets(source))
        shutil.copyfile(file, temporary)
    say(f"{hide_secrets(source)} is kept as {target}, so that it is fetched once")
    return target


def refuse_page(file: Path, name: str) -> None:
    """Raise DarkroomError if a download is a web page."""
    if is_page(file):
        raise DarkroomError(
            f"{name}: answered with a web page, not with a file: the address leads to a page "
            f"about the file, or wants a login; give {SETTING} the address of the file itself"
        )


def _bring_folder(listing: Listing, sha256: str, folder: Path, name: str) -> None:
    """Download the files of a store's folder that can be of use."""
    if sha256:
        raise DarkroomError(
            f"ingest.sha256 is that of an archive, and {name} is a folder of "
            f"{len(listing.files):,} files; leave it empty"
        )
    names = [remote.path for remote in listing.files]
    suffixes = {path: Path(path).suffix.lower() for path in names}
    inner = [path for path in names if suffixes[path] in ARCHIVES]
    if all(suffix in BESIDE | ARCHIVES for suffix in suffixes.values()):
        raise DarkroomError(describe_lack(name, names, inner, is_folder=True))
    plan = plan_targets(name, names)
    size = sum(remote.bytes or 0 for remote in listing.files)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DarkroomError(
            f"{name}: holds {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free here; make room"
        )
    pairs = [
        (remote, folder / target)
        for remote, target in zip(listing.files, plan.targets, strict=True)
        if target is not None
    ]
    fetch_folder(pairs, len(pairs))
    if not has_images(folder):
        raise DarkroomError(describe_lack(name, names, inner, is_folder=True))
    say_guesses(name, [], plan, inner)


@contextmanager
def _download(remote: Remote, source: str, beside: Path) -> Iterator[Path]:
    """Yield the downloaded file, which is removed afterwards.

    A download that failed or was killed stays, if the server names versions of the file: the next
    run goes on where it ended. Its name says of which address it is.
    """
    beside.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(source.encode()).hexdigest()[:16]
    file = beside / f".download-{key}.partial"
    marks = file.with_name(f"{file.name}.version")
    with file.open("ab") as claimed:
        try:
            fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another run fetches the same, or the disk knows no locks
            number, own = tempfile.mkstemp(prefix=".download-", suffix=".partial", dir=beside)
            os.close(number)
            file = Path(own)
            marks = file.with_name(f"{file.name}.version")
        try:
            _receive(remote, file, marks)
        except BaseException:  # Ctrl-C too: bytes without a version cannot be gone on with
            if not marks.exists():
                file.unlink(missing_ok=True)
            raise
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)
            marks.unlink(missing_ok=True)


def _receive(remote: Remote, file: Path, marks: Path) -> None:
    def keep_mark(mark: str) -> None:
        if mark:
            marks.write_text(mark, encoding="utf-8")
        else:
            marks.unlink(missing_ok=True)

    mark = marks.read_text(encoding="utf-8") if marks.is_file() else ""
    here = file.stat().st_size if mark else 0
    if here:
        say(f"{remote.name}: {here / 1e6:,.1f} MB are here from an earlier run")
    with bar("download", "MB", None) as progress:
        progress.total = remote.bytes and round(remote.bytes / 1e6, 1)
        progress.update(round(here / 1e6, 3))
        fetch_file(
            remote,
            file,
            mark=mark,
            keep_mark=keep_mark,
            advance=lambda count: progress.update(round(count / 1e6, 3)),
        )

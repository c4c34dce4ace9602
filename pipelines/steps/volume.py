"""Folders on the shared volume: named for what is in them, written once, never changed.

A folder is written under a name of nobody's, moved into place by one rename, and listed last: who
finds it listed finds it whole, and two runs that write the same at once end with one folder. Beside
them lies ``.darkroom``: the list (`inventory`), which source became which folder (`sources`), which
run used what when (`uses`), and the `generations`. KFP's cache would go on pointing at folders that
somebody removed; so each fetch looks whether what was made of its images is there still, and if not
begins a new generation of them: a parameter of all tasks that use the volume, and of their keys.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.images.listing import read_entries, read_note, write_listing
from components.common.images.stores.listing import Entry
from components.common.terminal import say
from components.common.tracking.runs import KFP_RUN_ID

BOOKS = ".darkroom"
LISTINGS = "listings"  # in it: what sources listed
STREAMS = 16  # files that are read at a time
PARTIAL = ".partial"  # ending of what is being written, or was when its writer was killed


@dataclass(frozen=True)
class Volume:
    """A shared volume, by where it is mounted."""

    mount: Path

    @contextmanager
    def writing_once(
        self, kind: str, images: str, compute_digest: Callable[[Path], str], found: list[Path]
    ) -> Iterator[Path]:
        """Yield a path for a new folder; afterwards it is in its place, listed.

        Args:
            kind: the folder that holds all of its kind: images, written, shards.
            images: digest of the images that it is made of; empty: it is the images.
            compute_digest: names what was written, from the folder.
            found: receives the folder's place.
        """
        self.check_writable()
        around = self.mount / kind / f"{secrets.token_hex(8)}{PARTIAL}"
        around.mkdir(parents=True)
        try:
            yield around / "new"
            digest = compute_digest(around / "new")[:16]
            target = self.mount / kind / digest
            count = count_files(around / "new")
            _put(around / "new", target, count)
            entry = {"folder": f"{kind}/{digest}", "images": images or digest, "files": count}
            self._write(f"inventory/{kind}-{digest}.json", json.dumps(entry))
            self.note_use(target)
            found.append(target)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            free = shutil.disk_usage(self.mount).free
            raise DarkroomError(
                f"the shared volume at {self.mount} is full ({free:,} bytes are free): enlarge its "
                "claim, or see `python -m pipelines clean`; then retry the run"
            ) from None
        finally:
            shutil.rmtree(around, ignore_errors=True)

    def find_source(self, recipe: str) -> Path | None:
        """Return the folder of images that a source became, if it is there."""
        name = self._read(f"sources/{recipe}")
        folder = self.mount / "images" / name
        entry = self._read_entry(folder) if name.isalnum() else None
        return folder if entry and self._is_whole(entry) else None

    def note_source(self, recipe: str, folder: Path) -> None:
        """Note which folder of images a source became."""
        self._write(f"sources/{recipe}", folder.name)

    def keep_listing(self, folder: Path, address: str, entries: Sequence[Entry]) -> None:
        """Keep what a source listed of the images in a folder, for who brings later ones."""
        write_listing(self.mount / BOOKS / LISTINGS / f"{folder.name}.parquet", address, entries)

    def link_known(self, address: str, entries: Sequence[Entry], target: Path) -> list[Entry]:
        """Link the files that the last folder of a source has already; return the others.

        Args:
            address: of the source.
            entries: what it lists now.
            target: the new folder.
        """
        listings = sorted((self.mount / BOOKS / LISTINGS).glob("*.parquet"), key=_tell_age)
        for listing in listings:
            folder = self.mount / "images" / listing.stem
            try:
                if read_note(listing)["source"] != address or not folder.is_dir():
                    continue
                known = set(read_entries(listing))
            except (OSError, ValueError, LookupError, DarkroomError):
                continue  # a help that somebody damaged: then all is fetched
            return [one for one in entries if one not in known or not _link(one, folder, target)]
        return list(entries)

    def check_generation(self, images: str) -> str:
        """Return the generation of what is made of some images; a new one if a part of it is gone.

        Args:
            images: digest of the images.
        """
        name = f"generations/{images}"
        generation = self._read(name)
        gone = [
            (file, entry["folder"])
            for file, entry in self.list_inventory()
            if entry["images"] == images and not self._is_whole(entry)
        ]
        for file, _ in gone:
            file.unlink(missing_ok=True)
        if gone or not generation:
            generation = secrets.token_hex(4)
            self._write(name, generation)
        if gone:
            say(f"{', '.join(sorted(one for _, one in gone))}: gone from the volume, made anew")
        return generation

    def list_inventory(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return what is listed: the file that lists it, and its entry."""
        files = sorted((self.mount / BOOKS / "inventory").glob("*.json"))
        entries = ((file, _read_entry(file)) for file in files)
        return [(file, entry) for file, entry in entries if entry]

    def note_use(self, folder: Path) -> None:
        """Note that the present KFP run uses a folder, for who would remove it."""
        run = os.environ.get(KFP_RUN_ID, "")
        if run and folder.is_relative_to(self.mount):
            with suppress(OSError):
                self._write(f"uses/{self.find_uses(folder).name}/{run}", "")

    def find_uses(self, folder: Path) -> Path:
        """Return the folder with a file for each KFP run that used a folder."""
        return self.mount / BOOKS / "uses" / "-".join(folder.relative_to(self.mount).parts)

    def remove(self, folder: Path) -> None:
        """Remove a folder that no run needs; it stays listed, so that the next fetch knows.

        Its name goes first, so that nobody finds a half of it.
        """
        gone = folder.with_name(f"{secrets.token_hex(8)}{PARTIAL}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        shutil.rmtree(self.find_uses(folder), ignore_errors=True)

    def check_writable(self) -> None:
        """Raise DarkroomError if this task may not write here, with what to do."""
        if not self.mount.is_dir():
            raise DarkroomError(
                f"{self.mount}: no volume is mounted here; see kubeflow.volume in params.yaml"
            )
        probe = self.mount / f".{secrets.token_hex(8)}"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            owner = self.mount.stat()
            raise DarkroomError(
                f"the shared volume at {self.mount} cannot be written ({error.strerror}): it "
                f"belongs to user {owner.st_uid}, group {owner.st_gid}, and tasks run as user "
                f"{os.getuid()}, group {os.getgid()}; `kubectl apply -f "
                "deploy/operator/volume-owner.yaml` mends that once"
            ) from None

    def _read_entry(self, folder: Path) -> dict[str, Any] | None:
        name = "-".join(folder.relative_to(self.mount).parts)
        return _read_entry(self.mount / BOOKS / "inventory" / f"{name}.json")

    def _is_whole(self, entry: Mapping[str, Any]) -> bool:
        """Whether a listed folder is there with as many files as it was written with.

        Files are counted and not read: seconds for a hundred thousand.
        """
        folder = self.mount / entry["folder"]
        wanted = entry.get("files")  # of an earlier version's folder nobody counted them
        return folder.is_dir() and (wanted is None or count_files(folder) == wanted)

    def _read(self, name: str) -> str:
        try:
            return (self.mount / BOOKS / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def _write(self, name: str, text: str) -> None:
        target = self.mount / BOOKS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)


def _read_entry(file: Path) -> dict[str, Any] | None:
    """Return an entry of the inventory; None if it is not there, or damaged."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and {"folder", "images"} <= found.keys():
            return found
    return None


def count_files(folder: Path) -> int:
    """Return how many files are in a folder and below."""
    return sum(len(files) for _, _, files in os.walk(folder))


def _put(new: Path, target: Path, count: int) -> None:
    """Move a folder of some files into its place, unless what is there is as whole."""
    for is_last in (False, True):
        try:
            new.rename(target)
            return
        except OSError:  # another folder is there
            if not target.is_dir():
                raise
            if count_files(target) == count:
                say(f"{target} is there already, the same")
                return
            if is_last:
                raise
        say(f"{target} lacks files of its own: replaced")
        with suppress(OSError):  # another run was faster
            target.rename(new.with_name("broken"))


def _tell_age(file: Path) -> float:
    return -file.stat().st_mtime


def _link(entry: Entry, folder: Path, target: Path) -> bool:
    """Link a file of an earlier folder, and return whether that was done."""
    if not entry.digest:  # then a name and a size are all that is the same
        return False
    (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(folder / entry.path, target / entry.path)
    except OSError:  # gone, or a volume without links
        return False
    return True


def compute_folder_digest(folder: Path) -> str:
    """Return the digest of all files in a folder and below: their paths and their bytes."""
    total = hashlib.sha256()
    # Several at a time: on a network's volume opening a file takes longer than its bytes.
    with ThreadPoolExecutor(STREAMS) as pool:
        for name, folders, files in os.walk(folder):
            folders.sort()
            paths = [Path(name) / file for file in sorted(files)]
            for path, digest in zip(paths, pool.map(compute_sha256, paths), strict=True):
                total.update(f"{path.relative_to(folder)}\0{digest}\n".encode())
    return total.hexdigest()


def name_place(folder: Path, generation: str) -> str:
    """Return how tasks are told of images on the volume: where they are, of which generation."""
    return f"{folder}@{generation}"


def read_place(place: str) -> Path:
    """Return the folder of images that :func:`name_place` named."""
    return Path(place.rpartition("@")[0])

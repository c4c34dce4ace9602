"""Folders on the shared volume: named for what is in them, written once, never changed.

A folder is written under a name of nobody's, moved into place by one rename, and listed last: who
finds it listed finds it whole, and two runs that write the same at once end with one folder. Beside
them lies ``.darkroom``: the list (`inventory`), which source became which folder (`sources`), which
run used what when (`uses`), the `generations`, and what helps later runs (`memory.py`). KFP's cache
would go on pointing at folders that somebody removed; so each fetch looks whether what was made of
its images is there still, and if not begins a new generation of them: a parameter of all tasks that
use the volume, and of their keys.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.terminal import say
from components.common.tracking.runs import KFP_RUN_ID

BOOKS = ".darkroom"
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
            # Of images there are too many to ask each for its size.
            counts = ("files", "bytes") if images else ("files",)
            whole = {name: COUNTS[name](around / "new") for name in counts}
            _put(around / "new", target, whole)
            entry = {"folder": f"{kind}/{digest}", "images": images or digest, **whole}
            self.write(f"inventory/{kind}-{digest}.json", json.dumps(entry))
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
        name = self.read(f"sources/{recipe}")
        folder = self.mount / "images" / name
        return folder if name.isalnum() and self.is_whole(folder) else None

    def note_source(self, recipe: str, folder: Path) -> None:
        """Note which folder of images a source became."""
        self.write(f"sources/{recipe}", folder.name)

    def check_generation(self, images: str) -> str:
        """Return the generation of what is made of some images; a new one if a part of it is gone.

        Args:
            images: digest of the images.
        """
        name = f"generations/{images}"
        generation = self.read(name)
        gone = [
            (file, entry["folder"])
            for file, entry in self.list_inventory()
            if entry["images"] == images and not self._is_whole(entry)
        ]
        for file, _ in gone:
            file.unlink(missing_ok=True)
        if gone or not generation:
            generation = secrets.token_hex(4)
            self.write(name, generation)
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
                self.write(f"uses/{self.find_uses(folder).name}/{run}", "")

    def find_uses(self, folder: Path) -> Path:
        """Return the folder with a file for each KFP run that used a folder."""
        return self.mount / BOOKS / "uses" / "-".join(folder.relative_to(self.mount).parts)

    def remove(self, folder: Path) -> None:
        """Remove a folder or file that no run needs; it stays listed, so that the next fetch knows.

        Its name goes first, so that nobody finds a half of it.
        """
        gone = folder.with_name(f"{secrets.token_hex(8)}{PARTIAL}")
        folder.rename(gone)
        if gone.is_dir():
            shutil.rmtree(gone, ignore_errors=True)
        else:
            gone.unlink(missing_ok=True)
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

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder is listed, and there as it was written."""
        entry = self._read_entry(folder)
        return entry is not None and self._is_whole(entry)

    def _read_entry(self, folder: Path) -> dict[str, Any] | None:
        name = "-".join(folder.relative_to(self.mount).parts)
        return _read_entry(self.mount / BOOKS / "inventory" / f"{name}.json")

    def _is_whole(self, entry: Mapping[str, Any]) -> bool:
        """Whether a listed folder is there with as many files, and bytes, as were written.

        Files are counted and not read: seconds for a hundred thousand.
        """
        folder = self.mount / entry["folder"]
        # Of an earlier version's folder nobody counted them.
        wanted = {name: entry[name] for name in COUNTS if entry.get(name) is not None}
        return folder.is_dir() and _holds(folder, wanted)

    def read(self, name: str) -> str:
        """Return a text of the books, empty where there is none."""
        try:
            return (self.mount / BOOKS / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a text into the books, whole or not at all."""
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


def count_bytes(folder: Path) -> int:
    """Return the size of all files in a folder and below."""
    return sum(
        (Path(name) / file).stat().st_size for name, _, files in os.walk(folder) for file in files
    )


COUNTS = {"files": count_files, "bytes": count_bytes}


def _holds(folder: Path, counts: Mapping[str, int]) -> bool:
    return all(COUNTS[name](folder) == count for name, count in counts.items())


def _put(new: Path, target: Path, counts: Mapping[str, int]) -> None:
    """Move a folder into its place, unless what is there is as whole by what was counted."""
    for is_last in (False, True):
        try:
            new.rename(target)
            return
        except OSError:  # another folder is there
            if not target.is_dir():
                raise
            if _holds(target, counts):
                say(f"{target} is there already, the same")
                return
            if is_last:
                raise
        say(f"{target} is not whole any more: replaced")
        with suppress(OSError):  # another run was faster
            target.rename(new.with_name("broken"))


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


def name_place(folder: Path, generation: str, line: str) -> str:
    """Return how tasks are told of images on the volume.

    Args:
        folder: where they are.
        generation: of what is made of them.
        line: the runs that go on where the one before them ended.
    """
    return f"{folder}@{generation}-{line}"


def read_place(place: str) -> Path:
    """Return the folder of images that :func:`name_place` named."""
    return Path(place.rpartition("@")[0])


def read_line(place: str) -> str:
    """Return the line of runs that :func:`name_place` named; empty: none."""
    return place.rpartition("@")[2].partition("-")[2]

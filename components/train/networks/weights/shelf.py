"""What lies on the shelf of fetched networks, and whether it is still what was fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.train.networks.catalogue import CATALOGUE

RECORD = "weights.json"  # beside the files: where they came from, and their digests
WANTED = ("*.json", "*.safetensors", "*.h5")  # no pickles, no code


@dataclass(frozen=True)
class Fetched:
    """A network on the shelf."""

    folder: Path
    source: str  # the name it was fetched by
    parameters: int
    size_px: int
    mega_macs: int | None
    needs: tuple[str, ...]
    licence: str  # as the files say it; empty where they do not
    files: dict[str, Any]  # name → sha256 and bytes, as they were fetched

    @property
    def in_catalogue(self) -> bool:
        """Whether these are weights of a network of the catalogue, known by its name."""
        return self.source in CATALOGUE

    @property
    def size_mb(self) -> float:
        """Size of its files, MB."""
        return sum(int(one["bytes"]) for one in self.files.values()) / 1e6


def list_shelf(shelf: Path) -> list[Fetched]:
    """Return the networks of a shelf, smallest first."""
    found = [read_record(file) for file in sorted(shelf.glob(f"*/{RECORD}"))]
    return sorted(found, key=lambda one: one.parameters)


def print_shelf(shelf: Path) -> None:
    """Print the networks of a shelf, with the digests that a model's lineage names."""
    found = list_shelf(shelf)
    if not found:
        print(f"{shelf}: nothing there; `python -m components.train weights fetch NAME` brings it")
    for one in found:
        macs = f"{one.mega_macs / 1e3:.2f} G" if one.mega_macs else "–"
        print(
            f"{one.folder!s:<44}{one.parameters / 1e6:>8.1f} M{one.size_mb:>8.0f} MB"
            f"{one.size_px:>7} px{macs:>10}  {compute_digest(one.folder)[:12]}  {one.source}"
            f"  {one.licence}".rstrip()
        )


def verify_shelf(shelf: Path, names: list[str]) -> None:
    """Compare files with the digests of when they were fetched; print each network that is whole.

    Args:
        shelf: holds the networks.
        names: of folders in it; empty: all.

    Raises:
        DarkroomError: if a file was changed, is missing, or was added; or if there is no such one.
    """
    known = {one.folder.name: one for one in list_shelf(shelf)}
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise DarkroomError(f"weights verify: {shelf}: no network {name}; there: {there}")
    if not known:
        raise DarkroomError(f"weights verify: {shelf}: nothing there; weights fetch NAME brings it")
    wrong = []
    for one in (known[name] for name in names or known):
        faults = list(_find_faults(one))
        wrong += faults
        if not faults:
            print(f"{one.folder}: as it was fetched, {len(one.files)} files")
    if wrong:
        raise DarkroomError(f"weights verify: {'; '.join(wrong)}; fetch again, or dvc checkout")


def _find_faults(one: Fetched) -> Iterator[str]:
    for name, said in one.files.items():
        file = one.folder / name
        if not file.is_file():
            yield f"{file} is missing"
        elif compute_sha256(file) != said["sha256"]:
            yield f"{file} is not what was fetched"
    for file in list_files(one.folder):
        if file.name not in one.files:
            yield f"{file} was not fetched"


def read_record(record: Path) -> Fetched:
    """Read what was fetched; the files may have changed since, the record may not."""
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        macs = said["mega_macs"]
        return Fetched(
            record.parent,
            str(said["source"]),
            int(said["parameters"]),
            int(said["size_px"]),
            None if macs is None else int(macs),
            tuple(said["needs"]),
            str(said["licence"]),
            {
                str(name): {"sha256": str(one["sha256"]), "bytes": int(one["bytes"])}
                for name, one in said["files"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OSError) as error:
        raise DarkroomError(
            f"{record}: not a record of fetched weights ({error!r}); remove {record.parent} and "
            "fetch it again"
        ) from None


def list_files(folder: Path) -> list[Path]:
    """Return the files of a network that its answers come from, in order."""
    found = {file for pattern in WANTED for file in folder.glob(pattern) if file.is_file()}
    return sorted(found - {folder / RECORD})


def name_weights(folder: Path, name: str) -> Path:
    """Return the file in which a network of the catalogue has its weights on the shelf."""
    return folder / f"{name}.weights.h5"


def compute_digest(folder: Path) -> str:
    """Return the sha256 of the names and contents of a network's files."""
    whole = hashlib.sha256()
    for file in list_files(folder):
        whole.update(f"{file.name} {compute_sha256(file)}\n".encode())
    return whole.hexdigest()

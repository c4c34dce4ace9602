"""Weights as data: folders of networks, what is in them, whether it is what was fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path

from components.common.files.writing import compute_sha256

RECORD = "weights.json"  # beside the files: where they came from, and their digests
WANTED = ("*.json", "*.safetensors", "*.h5")  # no pickles, no code


def list_files(folder: Path) -> list[Path]:
    """Return the files of a network that its answers come from, in order."""
    found = {file for pattern in WANTED for file in folder.glob(pattern) if file.is_file()}
    return sorted(found - {folder / RECORD})


def compute_digest(folder: Path) -> str:
    """Return the sha256 of the names and contents of a network's files."""
    whole = hashlib.sha256()
    for file in list_files(folder):
        whole.update(f"{file.name} {compute_sha256(file)}\n".encode())
    return whole.hexdigest()

"""Trees of files, written and read by the tests."""

from __future__ import annotations

import os
from pathlib import Path

# What people and programs call files, some of them much as ours are.
NAMES = (
    "notes.txt", "a/mine.jpg", "new/1.png", "a/1.png", ".out.partial", ".darkroom-.partial",
    ".darkroom-0123456789abcdef.partial", "old", "new", "owner", "ü 🎉", "-f", "a b", "'\"$(x)",
    "a\nb", "out.kept", ".download.partial", "caf\udce9", ".darkroom~", "a/.darkroom",
)  # fmt: skip


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return path → content of all files, links read as what they say."""
    return {
        os.fspath(file.relative_to(folder)): (
            os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
        )
        for file in folder.rglob("*")
        if file.is_symlink() or file.is_file()
    }


def put(file: Path, text: str = "mine") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)

"""Write whole or not at all: to a temporary name beside the target, then moved into place."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside a target file; on success it becomes the target.

    The temporary name keeps the suffix, because writers such as Keras choose the format by it. When
    the body raises, the temporary file is removed and an old target stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.partial{target.suffix}")
    _remove(temporary)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        _remove(temporary)


@contextmanager
def writing_folder(target: Path) -> Iterator[Path]:
    """Yield a new empty folder beside a target folder; on success it replaces the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.partial")
    _remove(temporary)
    temporary.mkdir()
    try:
        yield temporary
        _remove(target)
        temporary.replace(target)
    finally:
        _remove(temporary)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with writing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all; NaN is refused, JSON has none."""
    write_text(target, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(source: Path) -> Any:
    """Read a JSON file that an earlier room wrote."""
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DarkroomError(f"{source}: not there; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{source}: damaged, not JSON ({error}); run its stage again") from None


def compute_sha256(file: Path) -> str:
    """Return the sha256 of a file's content, in hex, reading it piece by piece."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

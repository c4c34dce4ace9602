"""What the Parquet files of a batch say of themselves, so that they are known again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

NOTE = b"darkroom.batch"  # key of the file's own metadata
LISTING, ANSWERS = "listing", "answers"
Told = TypeVar("Told")


def write_note(writer: Any, what: str, note: dict[str, Any]) -> None:
    """Add what a file says of itself, before it is closed.

    Args:
        writer: of Arrow.
        what: LISTING or ANSWERS.
        note: plain values.
    """
    told = json.dumps({"what": what, **note}, ensure_ascii=False)
    writer.add_key_value_metadata({NOTE: told.encode()})


def read_note(file: Path, what: str) -> dict[str, Any] | None:
    """Return what a file says of itself; None if it is not there, damaged, or no such file."""
    from pyarrow import ArrowException, parquet

    try:
        found = json.loads((parquet.read_metadata(file).metadata or {})[NOTE])
    except (OSError, ArrowException, KeyError, ValueError, RecursionError):
        return None
    is_it = isinstance(found, dict) and found.pop("what", "") == what
    return found if is_it else None


def take_note(kind: type[Told], note: dict[str, Any] | None) -> Told | None:
    """Return a note as what it is; None if there is none, or it holds other things.

    Args:
        kind: a dataclass, whose fields are numbers, texts, and lists and mappings of such.
        note: of :func:`read_note`.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return None if note is None else TypeAdapter(kind).validate_json(json.dumps(note))
    except ValidationError:
        return None


def is_ours(file: Path, what: str) -> bool:
    """Whether a file may be written: nothing is there, or an earlier one that says it is ours.

    Many machines may write into one folder, so no list of what was written is kept beside them.
    """
    return not file.exists() or read_note(file, what) is not None

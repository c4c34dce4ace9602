"""Which form a file of ours has: a later version reads it as it was meant, or says what to do.

A file that says nothing is of before forms were numbered: form 0, which all readers know. A number
grows when a reader of before would misread the file; a column or a key that is only new is left
out by old readers, and wanted by none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError

KEY = "schema"  # in JSON, in the metadata of Parquet, on the card of a model
_MARK = re.compile(r"darkroom ([a-z-]+) (\d{1,6})")


@dataclass(frozen=True)
class Schema:
    """The forms of one kind of file."""

    name: str  # of the kind, one word: manifest, metrics …
    stage: str  # that writes it
    newest: int = 1  # written
    oldest: int = 0  # still read

    @property
    def mark(self) -> str:
        """What a file of the newest form says."""
        return f"darkroom {self.name} {self.newest}"

    def put_on(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a JSON file with the mark, first."""
        return {KEY: self.mark} | dict(value)

    def take_off(self, file: Path, found: Any) -> Any:
        """Return the content of a JSON file without the mark, which is checked."""
        if not isinstance(found, dict):
            return found  # whoever reads it says what it lacks
        self.check(file, found.get(KEY))
        return {key: value for key, value in found.items() if key != KEY}

    def check(self, file: Path, mark: object) -> None:
        """Refuse a file that cannot be read as it was meant.

        Args:
            file: for the message.
            mark: what it says of its form; None: nothing.

        Raises:
            DarkroomError: if it is of another kind, too old or too new, with what to do.
        """
        found = _MARK.fullmatch(str(mark)) if mark is not None else None
        if mark is not None and (found is None or found[1] != self.name):
            raise DarkroomError(
                f"{file}: says of itself {str(mark)[:80]!r}, and should be `{self.mark}`; run "
                f"{self.stage} again"
            )
        form = int(found[2]) if found else 0
        if form > self.newest:
            raise DarkroomError(
                f"{file}: {self.name} of form {form}, written by a newer version of Darkroom; this "
                f"one knows {self.newest}: update Darkroom, or run {self.stage} again with this one"
            )
        if form < self.oldest:
            raise DarkroomError(
                f"{file}: {self.name} of form {form}, written by an older version of Darkroom; "
                f"this one reads {self.oldest} and later: run {self.stage} again"
            )

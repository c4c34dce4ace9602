"""A small log of what was asked, by digest, and answered: `predict watch` reads it. Never an image.

One JSON object a line. A line holds what watch compares, so that the images are not needed again;
the file never grows beyond its limit: the older half goes when it is full.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError
from components.common.images.measures import NAMES, measure_pixels
from components.common.serving.batching import Answer
from components.common.terminal import count_of
from components.predict.serve.bodies import Unread
from components.predict.serve.champion import Loaded

if TYPE_CHECKING:
    import pandas as pd

MB = 1_000_000
_BEGIN = b'{"time": "'  # of each line; a JSON file of another kind begins in another way


def _is_log(file: Path) -> bool:
    """Whether a file is empty, or its first line begins as ours do, torn as it may be."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return _BEGIN.startswith(stream.read(len(_BEGIN)))


class RequestLog:
    """A file for one line an image, in two parts of which the older is dropped."""

    def __init__(self, file: Path, max_mb: float) -> None:
        """Open it; lines are added to what is there.

        Args:
            file: the newer part; the older one is called `.1` behind the same name.
            max_mb: size of both together, MB.

        Raises:
            DarkroomError: if there is something else in its place.
        """
        for part in (file, file.with_name(f"{file.name}.1")):
            if part.exists() and not _is_log(part):
                raise DarkroomError(
                    f"--log {file}: {part} is there already, and is no such log; give another name"
                )
        file.parent.mkdir(parents=True, exist_ok=True)
        half = max(1, round(max_mb * MB / 2))
        self._handler = RotatingFileHandler(
            file, maxBytes=half, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
        self._handler.setFormatter(logging.Formatter("%(message)s"))

    def write(self, loaded: Loaded, asked: Sequence[tuple[dict[str, Any], Answer]]) -> None:
        """Add a line for each image that was asked about.

        Args:
            loaded: the version that answered.
            asked: of each image what :func:`take_print` says, and its answer.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        for known, answer in asked:
            row = loaded.describe(answer)
            row.pop("sets", None), row.pop("probabilities")
            line: dict[str, Any] = {"time": now, "model": loaded.name, "version": loaded.version}
            line |= known
            line |= {
                name: value for name, value in row.items() if value is not None and value != ""
            }
            if answer.pixels is not None:
                figures = measure_pixels(answer.pixels, answer.width_px, answer.height_px)
                # To the last digit: where all are equal, any difference would be a shift.
                line |= dict(zip(NAMES, figures, strict=True))
            text = json.dumps(line, ensure_ascii=False)
            self._handler.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


def take_print(image: bytes | Unread) -> dict[str, Any]:
    """Return what is kept of an image: digest and size; nothing of one that did not come."""
    if isinstance(image, Unread):
        return {}
    return {"sha256": hashlib.sha256(image).hexdigest(), "bytes": len(image)}


@dataclass
class Logged:
    """What logs say of one version."""

    # Columns predicted, probability, NAMES and, where the version judges them, unsure and unknown.
    answers: pd.DataFrame
    unreadable: int = 0  # images that it could not read
    others: int = 0  # answers of other versions, and lines that are none of such a log

    def describe(self) -> str:
        """Return what there was, in words."""
        return (
            f"{count_of(len(self.answers), 'answer')} of this version in the log, "
            f"{count_of(self.unreadable, 'image')} that it could not read, "
            f"{count_of(self.others, 'line')} of other versions left out"
        )


def read_logs(files: Sequence[Path], version: str) -> Logged:
    """Return what logs hold of a version, the parts that were put aside included.

    Raises:
        DarkroomError: if a log is not there.
    """
    import pandas as pd

    rows, unreadable, others = [], 0, 0
    for file in files:
        parts = [one for one in (file.with_name(f"{file.name}.1"), file) if one.is_file()]
        if not parts:
            raise DarkroomError(f"--log {file}: no such file; `serve --log FILE` writes one")
        for line in (line for part in parts for line in part.open("rb")):
            row = _read_line(line)
            if row.get("version") != version:
                others += 1
            elif isinstance(row.get("label"), str):
                rows.append(row | {"predicted": row["label"]})
            else:
                unreadable += 1
    judged = ["unsure", "unknown"] if any("unknown" in row for row in rows) else ["unsure"]
    columns = ["predicted", "probability", *NAMES, *judged]
    return Logged(pd.DataFrame(rows, columns=columns), unreadable, others)


def _read_line(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # the last one, of a server that was killed
        return {}
    return row if isinstance(row, dict) else {}

"""Files of a folder that tasks share, read as a store's: a DVC remote on a mounted volume."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.common.files.plain import check_plain
from components.common.images.stores.listing import Entry
from components.common.images.stores.transfer import Piece, RefusedError, Remote, parse_digest


def open_entries(source: str, entries: Iterable[Entry]) -> list[Remote]:
    """Return the files of a listing, whose source is file:///folder."""
    folder = Path(unquote(urlsplit(source).path))
    return [_describe(folder / entry.key, entry) for entry in entries]


def _describe(file: Path, entry: Entry) -> Remote:
    def open_it(start: int, mark: str) -> Piece:
        check_plain(file)
        try:
            stream = file.open("rb")
        except FileNotFoundError:
            raise RefusedError("is not there; is the volume mounted that it lies on?") from None
        size = file.stat().st_size
        stream.seek(start)
        return Piece(stream, start, size, mark)

    return Remote(entry.path, str(file), open_it, entry.bytes, parse_digest(entry.digest))

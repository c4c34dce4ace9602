"""Bring the images of a partition to this machine, some ahead of the network that looks at them."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.images.stores.listing import STREAMS
from components.common.images.stores.transfer import Remote, fetch_file
from components.predict.batch.listing import Asked, tell_mark

AHEAD = 128  # images: two batches, one that is decoded and one that is waiting


@dataclass(frozen=True)
class Brought:
    """An image where it can be decoded."""

    row: Asked
    file: Path
    sha256: str | None  # None: it cannot be read
    seen: os.stat_result | None = None  # of a file that is not ours, before its bytes were read
    place: Any = None  # a temporary folder that holds it, if any

    @property
    def name(self) -> str:
        """What its answer calls it; a name that is not UTF-8 with its bytes as numbers."""
        return os.fsdecode(self.row.path).encode("utf-8", "backslashreplace").decode()

    def is_lost(self, has_answer: bool) -> bool:
        """Whether it was there when it was listed, and then gone, or another one.

        Asked when the network has looked: its answer is about the bytes that have the sha256, and
        a file without one that was moved meanwhile may be back by now.
        """
        if self.sha256 is None:
            return bool(self.row.mark)
        if self.seen is None:
            return False
        try:
            now = self.file.stat()
        except OSError:
            return not has_answer
        return (now.st_ino, now.st_ctime_ns) != (self.seen.st_ino, self.seen.st_ctime_ns)

    def remove(self) -> None:
        """Remove what was brought for it."""
        if self.place is not None:
            self.place.cleanup()


def bring_images(rows: Iterable[Asked], remotes: Mapping[bytes, Remote]) -> Iterator[Brought]:
    """Yield images in order, each with the sha256 of its bytes; the next are brought meanwhile.

    Args:
        rows: of the listing.
        remotes: of the store that they lie in; empty: they are files.

    Raises:
        DarkroomError: if a store does not give one: that is no answer about the image.
    """

    def bring(row: Asked) -> Brought:
        return _fetch(row, remotes) if remotes else _look(row)

    yield from _work_ahead(bring, rows)


def _work_ahead(bring: Callable[[Asked], Brought], rows: Iterable[Asked]) -> Iterator[Brought]:
    waiting: deque[Future[Brought]] = deque()
    with ThreadPoolExecutor(STREAMS) as pool:
        try:
            for row in rows:
                waiting.append(pool.submit(bring, row))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # Ctrl-C too: or the pool would first bring all that is waiting
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _look(row: Asked) -> Brought:
    file = Path(os.fsdecode(row.path))
    try:
        seen = file.stat()
        return Brought(row, file, compute_sha256(file), seen)
    except (OSError, ValueError):  # why is said by its answer
        return Brought(row, file, None)


def _fetch(row: Asked, remotes: Mapping[bytes, Remote]) -> Brought:
    remote, name = remotes.get(row.path), os.fsdecode(row.path)
    if remote is None or (remote.bytes, tell_mark(remote)) != (row.bytes, row.mark):
        what = "is gone" if remote is None else "has changed"
        raise DarkroomError(f"{name}: {what} since the batch was listed; start the batch again")
    place = tempfile.TemporaryDirectory(prefix="darkroom-")
    file = Path(place.name) / f"image{Path(remote.path).suffix}"
    fetch_file(remote, file)
    return Brought(row, file, compute_sha256(file), place=place)

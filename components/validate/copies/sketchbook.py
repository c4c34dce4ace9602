"""The sketches of many pictures, in a file: memory holds those alone that are looked at."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.validate.copies.sketch import (
    FOUND,
    FREQUENCIES,
    HEAD,
    PARTS,
    SIZE,
    THUMBNAIL_PX,
    VIEWS,
    WAVES,
    WHOLE,
    place_squares,
)


class Sketchbook:
    """A page for the sketch of each file; they lie in a file without a name, so none stays."""

    def __init__(self, files: int, folder: Path | None = None) -> None:
        """Open an empty book.

        Args:
            files: how many pages it has.
            folder: on whose disk; None: where temporary files are.

        Raises:
            OSError: if nothing can be written there.
        """
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the book
        self.drawn = np.zeros(files, bool)  # which pages are not empty

    def put(self, first: int, sketches: Sequence[bytes]) -> None:
        """Write sketches of neighbours, from a page on; an empty one leaves its page empty.

        Raises:
            OSError: if the disk is full.
        """
        self.drawn[first : first + len(sketches)] = [bool(sketch) for sketch in sketches]
        pages = b"".join(sketch or bytes(SIZE) for sketch in sketches)
        # Not into mapped memory: a full disk would end the process there, without a word.
        written = 0
        while written < len(pages):
            written += os.pwrite(self._file.fileno(), pages[written:], first * SIZE + written)

    def open(self) -> np.ndarray:
        """Return its pages, uint8 (files, SIZE), which are read from disk as they are looked at."""
        if not len(self.drawn):
            return np.zeros((0, SIZE), np.uint8)
        return np.memmap(self._file, np.uint8, "r", shape=(len(self.drawn), SIZE))


class Sketches:
    """The sketches of some of the files of a book."""

    def __init__(self, pages: np.ndarray, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Choose pages.

        Args:
            pages: uint8 (files, SIZE).
            rows: (pictures,), the page of each; from here on pictures are numbered as these are.
            sizes: (pictures, 2), width and height, upright.
        """
        self._rows, self._sizes = rows, sizes
        self._thumbnails = pages[:, HEAD:WAVES].reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)
        self._waves = pages[:, WAVES:].view(np.int8).reshape(-1, VIEWS, FREQUENCIES**2)
        sought = np.ascontiguousarray(pages[rows, :HEAD]).view(np.float32)
        self._sought = sought.reshape(-1, FOUND - 1, 4)  # places of the views after WHOLE

    def __len__(self) -> int:
        """Return how many pictures there are."""
        return len(self._rows)

    def get_thumbnails(self, pictures: np.ndarray) -> np.ndarray:
        """Return the thumbnails of pictures, uint8 (pictures, 32, 32)."""
        return np.asarray(self._thumbnails[self._rows[pictures]])

    def get_views(self, pictures: np.ndarray, views: np.ndarray | int | slice) -> np.ndarray:
        """Return the frequencies of views of pictures, int8 (…, 64), of length 127 each."""
        return np.asarray(self._waves[self._rows[pictures], views])

    def get_boxes(self, pictures: np.ndarray, views: np.ndarray | int) -> np.ndarray:
        """Return where views of pictures lie in them, float32 (pictures, 4)."""
        views = np.broadcast_to(views, pictures.shape)
        boxes = np.empty((len(pictures), 4), np.float32)
        boxes[views == WHOLE] = (0, 0, 1, 1)
        sought = (views > WHOLE) & (views < FOUND)
        boxes[sought] = self._sought[pictures[sought], views[sought] - 1]
        parts = (views >= FOUND) & (views < FOUND + len(PARTS))
        boxes[parts] = np.array(PARTS, np.float32)[views[parts] - FOUND]
        squares = views >= FOUND + len(PARTS)
        numbers = views[squares] - FOUND - len(PARTS)
        places = place_squares(self._sizes[pictures[squares]])
        boxes[squares] = places[np.arange(len(numbers)), numbers]
        return boxes

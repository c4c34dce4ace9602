"""Run a network forward over images: the next are read meanwhile, and machines share them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from components.common.shards.forward import fill_up
from components.common.terminal import bar
from components.train.runtime.machines import gather, share

Forward = Callable[[np.ndarray], Any]  # pixels of a batch → answers of a network


def run_forward(
    forward: Forward, pixels: Any, batch_size: int, what: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """Run a network over images: (images, size_px, size_px, 3) → (images, outputs).

    Several machines share them out, and each has all answers. The next batch is read while the
    network works, and a GPU gets it before the last answer is fetched.

    Args:
        forward: pixels of a batch → answers.
        pixels: uint8 (images, size_px, size_px, 3).
        batch_size: images in one forward pass.
        what: their name, for the progress bar.
        rows: which images; by default all.
    """
    wanted = np.arange(len(pixels)) if rows is None else rows
    own = wanted[share(len(wanted))]
    size = min(batch_size, len(own))
    answers: list[np.ndarray] = []
    waiting: list[tuple[Any, int]] = []

    def fetch() -> None:
        answer, count = waiting.pop(0)
        answers.append(np.asarray(answer, np.float32)[:count])
        progress.update(count)

    with bar(f"network over {what}", "images", len(own)) as progress:
        for batch in _read_ahead(pixels, own, size):
            waiting.append((forward(fill_up(batch, size)), len(batch)))
            if len(waiting) > 1:
                fetch()
        while waiting:
            fetch()
    return gather(np.concatenate(answers))[: len(wanted)]


def _read_ahead(pixels: Any, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield batches of pixels; the next one is read meanwhile."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(pixels.__getitem__, parts[0])
        for part in [*parts[1:], None]:
            batch = following.result()
            if part is not None:
                following = thread.submit(pixels.__getitem__, part)
            yield batch

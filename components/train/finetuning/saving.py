"""When the second phase writes where it stands, and the clock that it looks at."""

from __future__ import annotations

import time

import numpy as np

from components.train.runtime.checkpoint import Checkpoint

# A checkpoint is written when the last one is so many times older than it took to write: large
# networks would else wait for their disk.
REST = 25
PART = "finetune"


class Clock:
    """Seconds between one look at it and the next."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last time."""
        before, self.last = self.last, time.perf_counter()
        return self.last - before


class Saving:
    """When to write a checkpoint: often, as long as it costs little."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint, self.took, self.last = checkpoint, 0.0, 0.0

    def is_due(self) -> bool:
        """Whether the last one is old enough; the first is due at once."""
        return self.checkpoint.writes and time.perf_counter() - self.last >= REST * self.took

    def save(self, meta: dict[str, object], arrays: dict[str, np.ndarray]) -> None:
        """Write one."""
        start = time.perf_counter()
        self.checkpoint.save(PART, meta, arrays)
        self.last = time.perf_counter()
        self.took = self.last - start

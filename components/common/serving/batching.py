"""Images that arrive together are answered together: one forward pass for all who wait.

While the network works on one batch the next gathers by itself, so nobody waits for one to fill:
alone, an image goes at once; under load, batches grow. Images that wait are bounded, and so are
the pixels that are being decoded, whatever is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import Empty, Queue
from typing import Any

import numpy as np

from components.common.errors import DarkroomError
from components.common.host import count_cores, give_back_memory
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions

BATCH_SIZE = 8  # images of one forward pass; more gains little on a CPU
# Decoded at once, in all: a photo of the largest kind that phones take, or four usual ones.
MAX_PIXELS = 52_000_000
LARGE_PIXELS = 4_000_000  # to decode one takes up to 36 bytes a pixel (WebP with a profile: 33)


class ClosedError(Exception):
    """It takes no more images: another model has come in its place."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one image."""

    reason: str = ""  # why it is unreadable, else empty
    probabilities: np.ndarray | None = None  # float64 (classes,)
    logits: np.ndarray | None = None  # likewise, before the calibration
    pixels: np.ndarray | None = None  # as the network saw it, uint8 (size, size, 3)
    width_px: int = 0
    height_px: int = 0

    def describe(self, class_names: list[str], decisions: Decisions) -> dict[str, Any]:
        """Return the answer as servers give it; unreadable, all but the reason is None.

        Args:
            class_names: in the order of the probabilities.
            decisions: the limits by which it is judged.
        """
        row: dict[str, Any] = dict.fromkeys(list_columns(decisions))
        if self.probabilities is None:
            return row | {"reason": self.reason.removeprefix("image: ")}
        row |= decisions.judge(self.probabilities, class_names, self.logits)
        shares = dict(zip(class_names, self.probabilities.tolist(), strict=True))
        return row | {"probabilities": shares}


def list_columns(decisions: Decisions) -> list[str]:
    """Return the names of what an answer holds, in their order."""
    return [*decisions.list_columns(), "probabilities", "reason"]


class Gate:
    """Lets so much through at once; what is larger than all of it goes alone."""

    def __init__(self, capacity: int) -> None:
        """Open."""
        self._capacity = self._free = capacity
        self._turn = threading.Lock()  # first come, first served: a large one is not starved
        self._change = threading.Condition()

    @contextmanager
    def passing(self, amount: int) -> Iterator[None]:
        """Wait until there is room for an amount, and hold it meanwhile."""
        amount = min(amount, self._capacity)
        with self._turn, self._change:
            self._change.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._change:
                self._free += amount
                self._change.notify_all()


class Batcher:
    """A classifier that many threads may ask at once."""

    def __init__(
        self, classifier: Classifier, batch_size: int = BATCH_SIZE, max_pixels: int = MAX_PIXELS
    ) -> None:
        """Start the threads that decode, as many as cores, and the one that runs the network.

        Args:
            classifier: a loaded model.
            batch_size: images of one forward pass, at most.
            max_pixels: decoded at once, in all.
        """
        self._classifier, self._batch_size = classifier, batch_size
        self._gate, self._lock, self._closed = Gate(max_pixels), threading.Lock(), False
        self._decoders = ThreadPoolExecutor(count_cores(), thread_name_prefix="decode")
        # Where the network is behind, decoders wait: decoded images take a hundred times the room.
        self._waiting: Queue[tuple[Answer, Future[Answer]] | None] = Queue(4 * batch_size)
        self._worker = threading.Thread(target=self._work, name="network", daemon=True)
        self._worker.start()

    def ask(self, image: bytes) -> Future[Answer]:
        """Return the answer to come for an encoded image; raise ClosedError after `close`."""
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()  # who leaves does not hold up the others' batch
        with self._lock:
            if self._closed:
                raise ClosedError
            self._decoders.submit(self._decode, image, future)
        return future

    def close(self) -> None:
        """Answer all that was asked, then end the threads."""
        with self._lock:
            self._closed = True
        self._decoders.shutdown()
        self._waiting.put(None)
        self._worker.join()

    def _decode(self, image: bytes, future: Future[Answer]) -> None:
        try:
            width, height, amount = self._classifier.measure(image)
            with self._gate.passing(amount):
                try:
                    pixels = self._classifier.decode(image)
                finally:
                    if amount > LARGE_PIXELS:  # before the next may take as much
                        give_back_memory()
        except DarkroomError as error:
            future.set_result(Answer(str(error)))
        except BaseException as error:  # whatever it is, somebody waits for this answer
            future.set_exception(error)
        else:
            answer = Answer(pixels=pixels, width_px=width, height_px=height)
            self._waiting.put((answer, future))

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < self._batch_size:
                try:
                    one = self._waiting.get_nowait()
                except Empty:
                    break
                if one is None:
                    self._waiting.put(None)  # the end, after this batch
                    break
                batch.append(one)
            self._answer(batch)

    def _answer(self, batch: list[tuple[Answer, Future[Answer]]]) -> None:
        try:
            pixels = np.stack([answer.pixels for answer, _ in batch if answer.pixels is not None])
            found, logits = self._classifier.infer(pixels)  # (batch, classes)
        except BaseException as error:  # whatever it is, somebody waits for these answers
            for _, future in batch:
                future.set_exception(error)
            return
        for (asked, future), row, own in zip(batch, found, logits, strict=True):
            future.set_result(replace(asked, probabilities=row, logits=own))

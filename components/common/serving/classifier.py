"""From encoded images to calibrated probabilities: for predict and for the served model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.model import load_model, read_card, split_outputs
from components.common.errors import DarkroomError
from components.common.host import count_cores
from components.common.images.formats import find_extent, open_image
from components.common.images.pixels import read_pixels

ARTIFACT = "model"  # how a registered version names the model file among its artifacts


@dataclass(frozen=True)
class Answers:
    """What a model says of some images."""

    probabilities: (
        np.ndarray
    )  # float64 (images, classes); a row of NaN where the image is unreadable
    reasons: list[str]  # why an image is unreadable, else empty
    logits: np.ndarray  # float64 (images, classes), before the calibration; NaN likewise
    # float32 (images, channels), what the logits are computed from, NaN likewise; if asked for.
    features: np.ndarray | None = None


class Classifier:
    """A model file, loaded and ready to answer."""

    def __init__(
        self, file: Path, max_pixels: int | None = None, *, with_features: bool = False
    ) -> None:
        """Load a model.keras that train wrote; raise DarkroomError if it is none.

        Args:
            file: the model file.
            max_pixels: an image of more is refused, if the model does not refuse it anyway.
            with_features: answers hold the features too.
        """
        self.card = read_card(file)
        allowed = self.card.form.max_pixels
        self._form = replace(self.card.form, max_pixels=min(allowed, max_pixels or allowed))
        self._file = file
        self._model = self._take_outputs(with_features)
        self._channels = int(self._model.outputs[2].shape[-1]) if with_features else 0

    def _take_outputs(self, with_features: bool) -> Any:
        """Return the network with all its outputs, if it is the one that the card is about."""
        try:
            found = split_outputs(load_model(self._file), with_features)
        except ValueError as error:
            raise DarkroomError(f"{self._file}: no network of train's ({error})") from None
        classes, size = found.outputs[1].shape[-1], found.inputs[0].shape[1]
        known, wanted = len(self.class_names), self.card.form.size_px
        if classes != known or size not in (None, wanted):
            raise DarkroomError(
                f"{self._file}: its network gives {classes} classes of {size} px, and what it says "
                f"of itself is {known} of {wanted} px; run train again"
            )
        return found

    def _ask(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Return all outputs for decoded images; no answer is better than one that is no number."""
        found = [np.asarray(one) for one in self._model.predict_on_batch(pixels)]
        if not all(np.isfinite(one).all() for one in found[:2]):
            raise DarkroomError(
                f"{self._file}: its answers are not numbers, so its weights are damaged or its "
                "training diverged; run train again, or name another model"
            )
        return found

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of the columns of the probabilities."""
        return self.card.class_names

    def warm_up(self) -> None:
        """Compile the network, which the first calls would otherwise wait for.

        Twice: for one image, and, where Keras sees another number, for any number of them.
        """
        size = self._form.size_px
        for count in (1, 2):
            self.infer(np.zeros((count, size, size, 3), np.uint8))

    def measure(self, image: bytes | Path) -> tuple[int, int, int]:
        """Return width and height of an image and how many pixels decoding it holds.

        It is not decoded. Where it fails all are 0; why is what :meth:`decode` says.
        """
        try:
            with open_image(image, self._form.max_pixels) as opened:
                return (*opened.size, math.prod(find_extent(opened)))
        except Exception:  # damaged files make decoders raise nearly anything
            return 0, 0, 0

    def decode(self, image: bytes | Path) -> np.ndarray:
        """Return an image as the network sees it, uint8 (size, size, 3); or raise DarkroomError."""
        return read_pixels(image, self._form)

    def infer(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and logits of decoded images, both float64 (images, classes)."""
        probabilities, logits, *_ = self._ask(pixels)
        return np.asarray(probabilities, np.float64), np.asarray(logits, np.float64)

    def classify(self, images: Sequence[bytes | Path]) -> Answers:
        """Answer for a batch of images: encoded (JPEG, PNG …), or the files that hold them."""
        return self._infer(*self._decode(images))

    def classify_all(
        self, images: Iterable[bytes | Path], batch_size: int = 64
    ) -> Iterator[Answers]:
        """Answer batch by batch, in order; the next batch is decoded while the network works."""
        rest = iter(images)
        with ThreadPoolExecutor(1) as ahead:
            decoded = ahead.submit(self._decode, list(islice(rest, batch_size)))
            while (found := decoded.result())[1]:
                decoded = ahead.submit(self._decode, list(islice(rest, batch_size)))
                yield self._infer(*found)

    def _decode(self, images: Sequence[bytes | Path]) -> tuple[np.ndarray, list[str]]:
        size = self.card.form.size_px
        pixels = np.zeros((len(images), size, size, 3), np.uint8)
        reasons = [""] * len(images)

        def decode(index: int) -> None:
            try:
                pixels[index] = self.decode(images[index])
            except DarkroomError as error:
                reasons[index] = str(error)

        # Pillow lets go of Python's lock while it decodes, so threads use all cores.
        with ThreadPoolExecutor(min(len(images), count_cores()) or 1) as pool:
            list(pool.map(decode, range(len(images))))
        return pixels, reasons

    def _infer(self, pixels: np.ndarray, reasons: list[str]) -> Answers:
        probabilities = np.full((len(reasons), len(self.class_names)), np.nan)
        logits = probabilities.copy()
        features = np.full((len(reasons), self._channels), np.nan, np.float32)
        readable = np.array([not reason for reason in reasons], bool)
        if readable.any():
            probabilities[readable], logits[readable], *more = self._ask(pixels[readable])
            if more:
                features[readable] = more[0]
        return Answers(probabilities, reasons, logits, features if self._channels else None)

"""The model that answers now, and the one that takes its place: an alias is followed, none is lost.

A version that the registry points to is loaded beside the one that serves, is asked about the test
images that promote keeps with it, and takes over between two images. Where anything of that fails,
the old one goes on and the reason is told.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.common.artifacts.sample import read_sample
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.host import give_back_memory
from components.common.serving.batching import Answer, Batcher, ClosedError
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions
from components.common.terminal import Stopwatch, show_plainly
from components.common.tracking.registered import IN_REGISTRY
from components.predict.serve.bodies import Unread
from components.predict.source import Source, find_version, open_model
from components.predict.spec import Serve

TOLERANCE = 1e-5  # of a probability: float32 rounds differently in batches of other sizes
RETRY_SECONDS = 60  # until a version that could not serve is loaded again
DIGITS = 12  # of a digest
MODEL = "model"  # what a file without a registry is called in answers


@dataclass(frozen=True)
class Loaded:
    """One version, ready to answer."""

    name: str
    version: str  # of the registry; of a file the beginning of its digest
    class_names: list[str]
    decisions: Decisions
    classifier: Classifier
    batcher: Batcher

    def describe(self, answer: Answer) -> dict[str, Any]:
        """Return an answer as servers give it."""
        row = answer.describe(self.class_names, self.decisions)
        if self.decisions.unsure_below is None and self.decisions.review_cost is None:
            row["unsure"] = None  # there is nothing to say it by
        return row


@dataclass
class State:
    """What a person may ask of the server itself."""

    version: str = ""
    loads: int = 0  # how often a version took over
    refused: str = ""  # the version that did not, and why
    checked_images: int = field(default=0)  # of the version's sample, that it answered as measured


class Champion:
    """The version behind an alias, as it is now."""

    def __init__(self, model: str, settings: Serve, name: str = "") -> None:
        """Load it.

        Args:
            model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or the path of a model.keras.
            settings: limits and how often the registry is asked.
            name: by which clients call it; by default that of the registry.

        Raises:
            DarkroomError: if there is no such model, or it does not answer as measured.
        """
        parts = IN_REGISTRY.fullmatch(model)
        self._model, self._settings = model, settings
        self.name = name or (parts["name"] if parts else MODEL)
        self.state, self._end = State(), threading.Event()
        self._failed = "", 0.0  # the last version that could not serve, and when
        self._current = self._load()
        self._watcher = threading.Thread(target=self._watch, name="registry", daemon=True)
        if parts and parts["alias"] and settings.refresh_seconds:
            self._watcher.start()

    @property
    def current(self) -> Loaded:
        """The version that answers now."""
        return self._current

    def ask(self, images: list[bytes | Unread]) -> tuple[Loaded, list[Future[Answer]]]:
        """Return which version answers, one for all images, and its answers to come."""
        while True:
            loaded = self._current
            try:
                return loaded, [_ask(loaded.batcher, image) for image in images]
            except ClosedError:  # another took over in this moment: it answers all of them
                continue

    def refresh(self, patient: bool = False) -> bool:
        """Ask the registry, and load what it points to; return whether another version took over.

        Args:
            patient: a version that could not serve is not tried again at once: loading costs
                seconds of the cores that answer.

        Raises:
            DarkroomError: if the registry does not answer, or the version cannot serve.
        """
        version = find_version(self._model)
        if version is None or version == self._current.version:
            return False
        failed, when = self._failed
        if patient and version == failed and time.monotonic() < when + RETRY_SECONDS:
            return False
        try:
            loaded = self._load()
        except Exception as error:  # whatever it is, this version cannot serve
            self._failed = version, time.monotonic()
            self.state.refused = f"version {version}: {_shorten(error)}"
            raise
        before, self._current = self._current, loaded
        before.batcher.close()  # answers what it was asked
        del before
        gc.collect()  # a network's parts refer to one another
        give_back_memory()
        return True

    def close(self) -> None:
        """Answer what was asked, and end."""
        self._end.set()
        self._current.batcher.close()

    def _watch(self) -> None:
        told = ""
        while not self._end.wait(self._settings.refresh_seconds):
            try:
                self.refresh(patient=True)
                words = ""
            except Exception as error:  # whatever it is, what serves goes on
                words = f"goes on with version {self._current.version}: {_shorten(error)}"
            if words and words != told:
                tell(words)
            told = words

    def _load(self) -> Loaded:
        watch, settings = Stopwatch(), self._settings
        with open_model(self._model, with_sample=True) as source:
            classifier = Classifier(source.file, round(settings.max_megapixels * 1e6))
            classifier.warm_up()
            checked = _check(classifier, source)
            version = source.version or compute_sha256(source.file)[:DIGITS]
        pixels = round(settings.max_megapixels * 1e6)
        loaded = Loaded(
            self.name,
            version,
            classifier.class_names,
            source.decisions,
            classifier,
            Batcher(classifier, settings.batch_size, pixels),
        )
        self.state.version, self.state.refused = loaded.version, ""
        self.state.loads, self.state.checked_images = self.state.loads + 1, checked
        proof = f", {checked} test images answered as measured" if checked else ""
        about = f"{len(loaded.class_names)} classes{proof}"
        tell(f"{self._model}: version {loaded.version} serves, {about} ({watch})")
        return loaded


def tell(message: str) -> None:
    """Print what happened to the server, where logs are read."""
    print(f"  {show_plainly(message)}", file=sys.stderr, flush=True)


def _ask(batcher: Batcher, image: bytes | Unread) -> Future[Answer]:
    if isinstance(image, bytes):
        return batcher.ask(image)
    unread: Future[Answer] = Future()
    unread.set_result(Answer(image.reason))
    return unread


def _check(classifier: Classifier, source: Source) -> int:
    """Compare answers with those that evaluate measured; return how many images there were."""
    if source.sample is None:
        return 0
    sample = read_sample(source.sample)
    found = classifier.classify(sample.images)
    readable = [not reason for reason in found.reasons]  # the server may allow fewer pixels
    order = [classifier.class_names.index(name) for name in sample.class_names]
    gaps = np.abs(found.probabilities[readable][:, order] - sample.probabilities[readable])
    if not gaps.max(initial=0.0) <= TOLERANCE:
        raise DarkroomError(
            f"its answers differ from what evaluate measured, a probability by {gaps.max():.2g}; "
            "it does not serve"
        )
    return int(sum(readable))


def _shorten(error: Exception) -> str:
    words = " ".join(str(error).split())
    return (
        words[:300]
        if isinstance(error, DarkroomError)
        else f"{type(error).__name__}: {words[:200]}"
    )

"""What labelling each image is worth: seen in one pass of the model, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from components.common.errors import DarkroomError
from components.common.host import count_cores
from components.common.images.phash import read_phash
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import compute_energy
from components.common.terminal import bar
from components.predict.listing import Source
from components.predict.suggest.diversity import drop_copies

BATCH_SIZE = 64  # images in one forward pass
# Of so many times the images that are asked for, and at least so many, the features are held: 20 MB
# of the default backbone's. Those of least worth are let go first.
HELD_TIMES, HELD_LEAST = 10, 4000


@dataclass(frozen=True)
class Candidate:
    """What is known of an image that may be suggested."""

    image: Source
    label: str  # what the model takes it for
    probability: float
    second: str  # what it takes it for otherwise
    second_probability: float
    unknown: bool  # it is like none that the model knows
    phash: str

    @property
    def worth(self) -> float:
        """How much a label would tell, 0 to 1: all of it where the model does not know the kind.

        Else how close the two likeliest classes are (margin sampling, Scheffer et al. 2001).
        """
        return 1.0 if self.unknown else 1.0 - (self.probability - self.second_probability)


@dataclass
class Shortlist:
    """The candidates that are still in the running, with their features."""

    candidates: list[Candidate] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)  # float32 (channels,) each
    copies: int = 0  # let go because they are near-copies

    @property
    def worth(self) -> np.ndarray:
        """Of each candidate, (candidates,)."""
        return np.array([one.worth for one in self.candidates])

    def stack(self) -> np.ndarray:
        """Return the features, float32 (candidates, channels)."""
        return np.stack(self.features)

    def keep(self, positions: np.ndarray) -> None:
        """Let all others go."""
        self.candidates = [self.candidates[i] for i in positions]
        self.features = [self.features[i] for i in positions]

    def drop_copies(self, near_duplicate_bits: int, known: list[str]) -> None:
        """Let near-copies go, of each other and of known images."""
        hashes = [one.phash for one in self.candidates]
        kept = drop_copies(hashes, self.worth, near_duplicate_bits, known)
        self.copies += len(hashes) - len(kept)
        self.keep(kept)


def rank(
    classifier: Classifier,
    images: Sequence[Source],
    *,
    count: int,
    of: str | None,
    unknown_above: float | None,
    near_duplicate_bits: int,
    known: list[str],
    tell: Callable[[Source, str], None],
) -> Shortlist:
    """Return the images that are worth most, without near-copies.

    Args:
        classifier: with features.
        images: to choose among.
        count: how many will be suggested: ten times as many are held.
        of: only images of which this class is one of the two likeliest; None: of any.
        unknown_above: an image of more energy is like none that the model knows; None: no limit.
        near_duplicate_bits: greatest number of different bits of near-copies' hashes.
        known: hashes of images that have labels already.
        tell: is called for an image that cannot be read, with the reason.
    """
    found, most = Shortlist(), max(HELD_LEAST, HELD_TIMES * count)
    for candidate, features in _look(classifier, images, unknown_above, tell):
        if of is not None and of not in (candidate.label, candidate.second):
            continue
        found.candidates.append(candidate)
        found.features.append(features)
        if len(found.candidates) >= 2 * most:
            found.drop_copies(near_duplicate_bits, known)
            found.keep(np.sort(np.argsort(-found.worth, kind="stable")[:most]))
    found.drop_copies(near_duplicate_bits, known)
    return found


def _look(
    classifier: Classifier,
    images: Sequence[Source],
    unknown_above: float | None,
    tell: Callable[[Source, str], None],
) -> Iterator[tuple[Candidate, np.ndarray]]:
    """Yield what the model says of each readable image, and its features."""
    names, done = classifier.class_names, 0
    with (
        ThreadPoolExecutor(count_cores()) as pool,
        bar("looking", "images", len(images)) as progress,
    ):
        for answers in classifier.classify_all(images, BATCH_SIZE):
            batch = images[done : done + len(answers.reasons)]
            done += len(batch)
            hashes = list(pool.map(_hash, batch, answers.reasons))
            energies = compute_energy(answers.logits)
            features = answers.features
            assert features is not None, "the classifier was loaded without them"
            progress.update(len(batch))
            for i, image in enumerate(batch):
                if answers.reasons[i]:
                    tell(image, answers.reasons[i])
                    continue
                first, second = np.argsort(-answers.probabilities[i], kind="stable")[:2]
                row = answers.probabilities[i]
                candidate = Candidate(
                    image=image,
                    label=names[first],
                    probability=float(row[first]),
                    second=names[second],
                    second_probability=float(row[second]),
                    unknown=unknown_above is not None and bool(energies[i] > unknown_above),
                    phash=hashes[i],
                )
                yield candidate, features[i]


def _hash(image: Source, reason: str) -> str:
    if reason:
        return ""
    try:
        return read_phash(image)
    except DarkroomError:
        return ""  # larger than what is hashed; it has an answer all the same

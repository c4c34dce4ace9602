"""From probabilities to what is answered: the label, whether it is unsure, the set of classes.

Evaluate finds the limits, a registered version carries them, predict and the served model apply
them. All of it is arithmetic on the probabilities, so a version carries this file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components.common.errors import DarkroomError

# Beside the model file of a registered version, and its name among the artifacts of the pyfunc.
DECISIONS_FILE, DECISIONS = "decisions.json", "decisions"
NOTHING_SURE = 1.0  # as a threshold: no answer is sure, not even one of probability 1


@dataclass(frozen=True)
class Decisions:
    """The limits by which answers are judged; what is None or empty is left open."""

    unsure_below: float | None = None  # an answer of a lower probability is unsure
    # Of each class the probability from which on it is in the set of an image.
    set_from: list[float] = field(default_factory=list)
    # What it costs to take a class (row) for another (column); empty: the likeliest is answered.
    costs: list[list[float]] = field(default_factory=list)
    review_cost: float | None = None  # an answer that is expected to cost more is unsure
    unknown_above: float | None = None  # an image of more energy is like none that it knows
    # `unsure_below` of the answers of each class, where some keep promises of their own.
    unsure_below_classes: list[float] = field(default_factory=list)

    @property
    def has_more(self) -> bool:
        """Whether there is more to it than the threshold, which is all that early versions have."""
        more = self.set_from or self.costs or self.unsure_below_classes
        return bool(more) or self.unknown_above is not None

    def compute_digest(self) -> str:
        """Return the sha256 of the limits, hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return what decisions.json holds."""
        found = asdict(self)
        if not self.unsure_below_classes:
            del found[
                "unsure_below_classes"
            ]  # versions from before there was one keep their digest
        return json.dumps(found, sort_keys=True)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the class that is answered for each image, int64 (images,).

        The likeliest; with costs, the one whose expected cost is lowest (Bayes' decision), of equal
        ones the likelier.

        Args:
            probabilities: (images, classes).
        """
        if not self.costs:
            return np.asarray(probabilities.argmax(axis=1))
        return np.lexsort((-probabilities, self._expect(probabilities)), axis=1)[:, 0]

    def find_unsure(self, probabilities: np.ndarray) -> np.ndarray:
        """Return whether each answer is unsure, bool (images,).

        Its probability lies below the threshold, or its expected cost above that of a review.

        Args:
            probabilities: (images, classes).
        """
        rows, best = np.arange(len(probabilities)), self.decide(probabilities)
        unsure = np.zeros(len(rows), bool)
        if self.unsure_below is not None:
            of_classes = np.array(self.unsure_below_classes)
            below = of_classes[best] if len(of_classes) else self.unsure_below
            unsure |= is_unsure(probabilities[rows, best], below)
        if self.costs and self.review_cost is not None:
            unsure |= self._expect(probabilities)[rows, best] > self.review_cost
        return unsure

    def _expect(self, probabilities: np.ndarray) -> np.ndarray:
        """Return what each answer is expected to cost, (images, classes)."""
        return np.asarray(probabilities @ np.array(self.costs))

    def list_columns(self) -> list[str]:
        """Return the names of what :meth:`judge` says of an image."""
        more = ["unknown"] if self.unknown_above is not None else []
        return ["label", "probability", "unsure", *more, *(["sets"] if self.set_from else [])]

    def judge(
        self, probabilities: np.ndarray, class_names: list[str], logits: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Return what is answered about one image.

        Args:
            probabilities: (classes,).
            class_names: of the columns.
            logits: (classes,), before the calibration; None: not to be had, and with it whether the
                image is unknown.

        Returns:
            `label`, its `probability`, whether that makes it `unsure` (false without a threshold),
            and, where there are limits for them, whether it is `unknown`, of no class, and `sets`:
            the classes it may be of, the likeliest first.
        """
        table = probabilities[None]  # (1, classes)
        best = int(self.decide(table)[0])
        sure = float(probabilities[best])
        found: dict[str, Any] = {"label": class_names[best], "probability": sure}
        found["unsure"] = bool(self.find_unsure(table)[0])
        if self.unknown_above is not None and logits is not None:
            found["unknown"] = bool(compute_energy(logits[None])[0] > self.unknown_above)
        if self.set_from:
            is_in = find_sets(table, np.array(self.set_from))[0]
            order = np.argsort(-probabilities, kind="stable")
            found["sets"] = [class_names[i] for i in order if is_in[i]]
        return found


def is_unsure(confidence: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Return whether each answer is unsure, bool (images,).

    A softmax reaches 1.0 in floating point, so a threshold of NOTHING_SURE has to mean none.

    Args:
        confidence: (images,), probability of the answer.
        threshold: an answer below it is unsure; one for all, or one for each image.
    """
    return np.asarray((confidence < threshold) | (threshold >= NOTHING_SURE))


def compute_energy(logits: np.ndarray) -> np.ndarray:
    """Return -log Σ exp(logits) of each image, (images,): high where no class speaks for it.

    Liu et al. 2020, Energy-based Out-of-distribution Detection.

    Args:
        logits: (images, classes), before the calibration.
    """
    table = np.asarray(logits, np.float64)
    most = table.max(axis=1)
    return np.asarray(-most - np.log(np.exp(table - most[:, None]).sum(axis=1)))


def find_sets(probabilities: np.ndarray, set_from: np.ndarray) -> np.ndarray:
    """Return which classes are in the set of each image, bool (images, classes).

    The likeliest class is always among them: a set of none would tell nobody anything.

    Args:
        probabilities: (images, classes).
        set_from: (classes,), see :class:`Decisions`.
    """
    is_in = probabilities >= set_from
    is_in[np.arange(len(is_in)), probabilities.argmax(axis=1)] = True
    return np.asarray(is_in)


def read_decisions(file: Path) -> Decisions:
    """Read what :meth:`Decisions.to_json` said; DarkroomError if it is none."""
    try:
        return parse_decisions(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise DarkroomError(
            f"{file}: not the limits of a version ({error}); promote again"
        ) from None


def parse_decisions(found: Any) -> Decisions:
    """Return decisions from JSON; keys that later code added are left out.

    Raises:
        ValueError: if something in it is no number, no list of them and no table.
    """
    if not isinstance(found, Mapping):
        raise ValueError("no names with values")
    known = {name: found[name] for name in Decisions.__dataclass_fields__ if name in found}
    empty = asdict(Decisions())
    for name, value in known.items():
        levels = 2 if name == "costs" else 0 if empty[name] is None else 1
        if not (value is None and levels == 0) and not _is_numbers(value, levels):
            what = ("a number", "a list of numbers", "a table of numbers")[levels]
            raise ValueError(f"{name} is not {what}")
    return Decisions(**known)


def _is_numbers(value: Any, levels: int) -> bool:
    """Whether a value is a number, or so many levels of lists of them."""
    if levels:
        return isinstance(value, list) and all(_is_numbers(one, levels - 1) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool)

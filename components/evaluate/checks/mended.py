"""What a person's corrections changed: how many labels, in which split, and what came of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.evaluate.checks.suspects import Decision

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Mended:
    """Of the images that a person decided about."""

    kept: int  # looked at, and the label was right
    changed: int
    dropped: int
    changed_in: dict[str, int]  # split → images
    # What the same answers would be worth under the test labels as they were; None: none changed.
    accuracy_by_old_labels: float | None
    digest: str  # of the decisions
    before: dict[str, Any] | None  # accuracy, images, test_digest of the evaluation before them


def describe_mending(
    decisions: Sequence[Decision],
    manifest: pd.DataFrame,
    splits: Mapping[str, str],
    predictions: Predictions,
    earlier: Mapping[str, Any],
) -> Mended | None:
    """Return what the corrections did; None without any.

    Args:
        decisions: of the manifest.
        manifest: all files.
        splits: path → split, of the images in use.
        predictions: of the test split, under the labels as they are now.
        earlier: metrics.json of the evaluation before this one; empty: there is none.
    """
    if not decisions:
        return None
    counts = Counter(one.action for one in decisions)
    changed = manifest[
        (manifest["label_before"] != "") & (manifest["label_before"] != manifest["label"])
    ]
    places = Counter(splits[path] for path in changed["path"] if path in splits)
    lines = sorted(f"{o.sha256} {o.label} {o.action} {o.new_label}\n" for o in decisions)
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    known = earlier.get("corrections") or {}
    before = known.get("before")
    # An evaluation under the same corrections tells nothing of what was before them.
    if known.get("digest") != digest and "accuracy" in earlier:
        before = {name: earlier.get(name) for name in ("accuracy", "images", "test_digest")}
    return Mended(
        kept=counts["keep"],
        changed=counts["change"],
        dropped=counts["drop"],
        changed_in={name: places[name] for name in ("train", "val", "test")},
        accuracy_by_old_labels=_judge_by_old_labels(changed, predictions),
        digest=digest,
        before=before,
    )


def _judge_by_old_labels(changed: pd.DataFrame, predictions: Predictions) -> float | None:
    was = dict(zip(changed["path"], changed["label_before"], strict=True))
    if was.keys().isdisjoint(predictions.paths):
        return None
    names = np.array(predictions.class_names, object)
    old = [was.get(p, names[y]) for p, y in zip(predictions.paths, predictions.labels, strict=True)]
    return float(np.mean(names[predictions.predicted] == np.array(old, object)))
